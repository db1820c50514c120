//! Real-time priority, so that a busy machine does not make the musicians stumble.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Below what servers use, so that the measuring program never delays what it measures.
const PRIORITY: u8 = 10;

/// Raises the calling thread; the text says why that was refused.
pub(crate) fn raise() -> Result<(), String> {
    let value = ThreadPriorityValue::try_from(PRIORITY)?;
    set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Crossplatform(value),
        ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
    )
    .map_err(|e| format!("{e:?}"))
}
