//! Numbers a server counts.

/// Declares the counters and their names for metrics.
macro_rules! counters {
    ($(#[doc = $struct_doc:expr])+ $name:ident { $($(#[doc = $doc:expr])+ $field:ident,)+ }) => {
        $(#[doc = $struct_doc])+
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl $name {
            /// Every counter with its name, in the order of declaration.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($field), self.$field)),+].into_iter()
            }
        }
    };
}

counters! {
    /// What a [`Server`](crate::Server) has counted since it was made. All values only grow.
    ServerStats {
        /// Datagrams handed in.
        datagrams,
        /// Audio of the right size from a connected channel.
        datagrams_audio,
        /// Audio-path datagrams of a connected channel whose size is not that of its format.
        datagrams_wrong_size,
        /// Datagrams without content, dropped.
        datagrams_empty,
        /// Datagrams from addresses that may not come, dropped.
        datagrams_denied,
        /// Datagrams dropped because outputs were not drained; peers repeat what matters.
        datagrams_deferred,
        /// Frames of connected messages from addresses without a channel, dropped.
        messages_unconnected,
        /// Connected messages processed.
        messages,
        /// Repetitions of a message that had been processed.
        messages_duplicate,
        /// Messages whose body broke the rules; acknowledged and ignored.
        messages_malformed,
        /// Messages with an unknown number; acknowledged and ignored.
        messages_unknown,
        /// Messages beyond a channel's rate, dropped without acknowledgement.
        messages_limited,
        /// Messages sent for the first time.
        messages_sent,
        /// Messages sent again for want of an acknowledgement.
        messages_retransmitted,
        /// Channels taken.
        joined,
        /// Channels that told who they are.
        identified,
        /// Channels that left by their own message.
        left_disconnected,
        /// Channels that sent no datagram for too long.
        left_timed_out,
        /// Channels that sent audio but acknowledged nothing for too long.
        left_unresponsive,
        /// Channels whose client had started anew from the same address.
        left_restarted,
        /// Channels that did not tell who they are, or in which format they play.
        left_unidentified,
        /// Channels removed by the owner or by a ban.
        left_removed,
        /// Newcomers answered "server full".
        refused,
        /// Newcomers without such an answer, because they had had one or too many had.
        refused_silently,
        /// Addresses asked to prove themselves.
        probed,
        /// Addresses that did.
        probes_answered,
        /// Addresses that did not in time.
        probes_expired,
        /// Addresses that gave way to others; they are asked the same again.
        probes_evicted,
        /// Datagrams of newcomers not asked because too many, or too many of the same host, had just been asked.
        probes_limited,
        /// Acknowledgements that were guesses, or came much too late.
        acknowledgements_wrong,
        /// Addresses with their ports ignored because they guessed.
        locked_out,
        /// Audio ignored because its sender had just disconnected, or has repeatedly not told who it is.
        quarantined,
        /// Requests without connection that were answered.
        requests_answered,
        /// Requests beyond the rates, dropped.
        requests_limited,
        /// Requests not answered because the answer would have exceeded what the address had sent.
        requests_unpaid,
        /// Requests without connection whose body broke the rules.
        requests_malformed,
        /// Bytes sent to strangers beyond what they had sent.
        bytes_loaned,
        /// Chat lines distributed.
        chat_lines,
        /// Chat lines beyond a channel's rate, dropped.
        chat_limited,
        /// Chat lines not delivered to one receiver that had too many waiting.
        chat_overflowed,
        /// Level lists sent, counted per receiver.
        levels_sent,
        /// Muting notices sent.
        mute_notices,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_their_names() {
        let stats = ServerStats { joined: 3, ..ServerStats::default() };
        assert_eq!(stats.iter().find(|(name, _)| *name == "joined"), Some(("joined", 3)));
        assert_eq!(stats.iter().map(|(_, value)| value).sum::<u64>(), 3);
    }
}
