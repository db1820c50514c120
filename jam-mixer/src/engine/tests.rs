//! Behaviour of the engine, scene by scene.
