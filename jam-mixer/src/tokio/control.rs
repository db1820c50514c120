//! Commands to a running server, from wherever they come.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use jam_proto::message::ChannelInfo;
use jam_proto::{ChannelId, CommandError, Layout};
use tokio::sync::oneshot;

use super::wait::Waker;
use crate::server::Command;

/// Why a command had no effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The server refused it.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// Too many commands wait; try again.
    #[error("too many commands are waiting")]
    Busy,
    /// The audio thread is gone.
    #[error("the audio thread has ended")]
    Ended,
}

pub(super) enum Order {
    Command(Command, oneshot::Sender<Result<(), CommandError>>),
    DirectoryText(oneshot::Sender<Option<String>>),
    Musicians(oneshot::Sender<Vec<MusicianInfo>>),
    Resolved(Arc<str>, Option<SocketAddr>),
    Stop,
}

/// A connected musician, as a list of them shows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MusicianInfo {
    /// The slot.
    pub channel: ChannelId,
    /// Where datagrams come from and go to.
    pub addr: SocketAddr,
    /// Who; empty until the musician told.
    pub info: ChannelInfo,
    /// Blocks in the server's jitter buffer; `None` until the musician announced a format.
    pub jitter_blocks: Option<u8>,
    /// Mono or stereo; `None` until the musician announced a format.
    pub layout: Option<Layout>,
}

/// A handle that can be cloned and sent around: gives commands to a running server.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) orders: SyncSender<Order>,
    pub(super) waker: Waker,
    pub(super) local_addrs: Arc<[SocketAddr]>,
}

impl Control {
    /// Carries out a command on the audio thread and returns its answer.
    ///
    /// # Errors
    ///
    /// [`OrderError::Refused`] if the server does not accept it, [`OrderError::Busy`] or [`OrderError::Ended`] if it
    /// did not get that far.
    pub async fn command(&self, mut command: Command) -> Result<(), OrderError> {
        if let Command::List(listing) = &mut command {
            super::complete(listing, &self.local_addrs);
        }
        let (answer, answered) = oneshot::channel();
        self.order(Order::Command(command, answer))?;
        Ok(answered.await.map_err(|_| OrderError::Ended)??)
    }

    /// Who is connected, channels ascending.
    ///
    /// # Errors
    ///
    /// [`OrderError::Busy`] or [`OrderError::Ended`] if the server was not reached.
    pub async fn musicians(&self) -> Result<Vec<MusicianInfo>, OrderError> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Musicians(answer))?;
        answered.await.map_err(|_| OrderError::Ended)
    }

    /// The list of a directory as its file should hold it; `None` if the server is none.
    ///
    /// # Errors
    ///
    /// [`OrderError::Busy`] or [`OrderError::Ended`] if the server was not reached.
    pub async fn directory_text(&self) -> Result<Option<String>, OrderError> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::DirectoryText(answer))?;
        answered.await.map_err(|_| OrderError::Ended)
    }

    /// Asks the audio thread to stop, after what it has been asked before: waits for a tick at most if the queue is full.
    pub(super) fn stop(&self) -> Result<(), OrderError> {
        self.orders.send(Order::Stop).map_err(|_| OrderError::Ended)?;
        self.waker.wake();
        Ok(())
    }

    pub(super) fn order(&self, order: Order) -> Result<(), OrderError> {
        self.orders.try_send(order).map_err(|e| match e {
            TrySendError::Full(_) => OrderError::Busy,
            TrySendError::Disconnected(_) => OrderError::Ended,
        })?;
        self.waker.wake();
        Ok(())
    }
}
