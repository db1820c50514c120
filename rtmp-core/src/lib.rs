//! RTMP without any I/O.
#![forbid(unsafe_code)]
