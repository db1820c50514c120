//! The checks that need nothing but the configuration and what the client said.

use std::net::IpAddr;

use super::refusal::Refusal;
use super::session::Step;
use crate::admission::refer_allows;
use crate::config::{Operation, VhostConfig};

/// What the rules of a vhost look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applicant<'a> {
    pub(super) operation: Operation,
    pub(super) ip: IpAddr,
    pub(super) page_url: &'a str,
    pub(super) stream: &'a str,
}

impl Applicant<'_> {
    /// Why the rules of `vhost` refuse at this step; most steps have none.
    pub(super) fn refusal(&self, step: Step, vhost: &VhostConfig) -> Option<Refusal> {
        let refer = vhost.refer.as_ref();
        let list = match (step, self.operation) {
            (Step::Security, _) => {
                let is_refused =
                    vhost.security.as_ref().is_some_and(|rules| !rules.allows(self.operation, self.ip));
                return is_refused.then_some(Refusal::Security);
            }
            (Step::Name, _) => return self.stream.is_empty().then_some(Refusal::NoStream),
            (Step::ReferAll, _) => refer.and_then(|refer| refer.all.as_deref()),
            (Step::ReferBefore, Operation::Publish) => refer.and_then(|refer| refer.publish.as_deref()),
            (Step::ReferAfter, Operation::Play) => refer.and_then(|refer| refer.play.as_deref()),
            _ => return None,
        };
        (!refer_allows(list, self.page_url)).then_some(Refusal::Refer)
    }
}
