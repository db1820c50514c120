//! Real-time priority for the threads that must meet a deadline.

/// How the audio threads are scheduled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Realtime {
    /// First-in-first-out real-time scheduling at this priority (1 to 99) where the system allows it; the server
    /// runs without it otherwise and says so ([`super::Notice::RealtimeDenied`]).
    Wanted(u8),
    /// Ordinary scheduling.
    Off,
}

impl Default for Realtime {
    /// Priority 50: above every ordinary program, below the kernel's own interrupt threads of a tuned system.
    fn default() -> Self {
        Self::Wanted(50)
    }
}

/// Why real-time priority was not granted, and how to get it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "no real-time priority ({reason}): the server runs, but a busy machine may delay it. Grant it with \
     `setcap cap_sys_nice+ep PROGRAM`, `LimitRTPRIO=99` in its systemd unit, or `USER - rtprio 99` in \
     /etc/security/limits.conf"
)]
pub struct RealtimeDenied {
    reason: String,
}

/// Gives the calling thread what `wanted` says.
pub(super) fn apply(wanted: Realtime) -> Result<(), RealtimeDenied> {
    match wanted {
        Realtime::Off => Ok(()),
        Realtime::Wanted(priority) => set(priority),
    }
}

#[cfg(target_os = "linux")]
fn set(priority: u8) -> Result<(), RealtimeDenied> {
    use thread_priority::{
        RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };
    let denied = |reason: String| RealtimeDenied { reason };
    let value = ThreadPriorityValue::try_from(priority).map_err(denied)?;
    set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Crossplatform(value),
        ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
    )
    .map_err(|e| {
        denied(match e {
            thread_priority::Error::OS(code) => std::io::Error::from_raw_os_error(code).to_string(),
            e => format!("{e:?}"),
        })
    })
}

#[cfg(not(target_os = "linux"))]
fn set(_priority: u8) -> Result<(), RealtimeDenied> {
    use thread_priority::{ThreadPriority, set_current_thread_priority};
    set_current_thread_priority(ThreadPriority::Max).map_err(|e| RealtimeDenied { reason: format!("{e:?}") })
}
