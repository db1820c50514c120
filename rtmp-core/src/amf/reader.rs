//! Bounded reading of primitive fields out of shared bytes.

use bytes::Bytes;

use super::{AmfError, AmfErrorKind, Text};
use crate::limits::AmfLimits;

/// A position in the bytes of a message, and what its values may still cost.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    bytes: Bytes,
    offset: usize,
    pub(super) limits: AmfLimits,
    values: u32,
}

impl Reader {
    pub(crate) fn new(bytes: Bytes, limits: AmfLimits) -> Self {
        Self { bytes, offset: 0, limits, values: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.offset >= self.bytes.len()
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.offset = self.offset.saturating_add(bytes).min(self.bytes.len());
    }

    pub(super) fn error(&self, kind: AmfErrorKind) -> AmfError {
        AmfError { offset: self.offset, kind }
    }

    pub(super) fn error_at(offset: usize, kind: AmfErrorKind) -> AmfError {
        AmfError { offset, kind }
    }

    /// The next byte without taking it.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let Some((array, _)) = self.rest().split_first_chunk::<N>() else {
            return Err(self.error(AmfErrorKind::Truncated));
        };
        let array = *array;
        self.offset = self.offset.saturating_add(N);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, AmfError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, AmfError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, AmfError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn f64(&mut self) -> Result<f64, AmfError> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    /// Bytes without any bound but their presence.
    pub(super) fn bytes(&mut self, length: u32) -> Result<Bytes, AmfError> {
        let length = length as usize;
        if self.rest().len() < length {
            return Err(self.error(AmfErrorKind::Truncated));
        }
        let end = self.offset.saturating_add(length);
        let bytes = self.bytes.slice(self.offset..end);
        self.offset = end;
        Ok(bytes)
    }

    pub(super) fn text(&mut self, length: u32) -> Result<Text, AmfError> {
        if length > self.limits.string_bytes_max && self.rest().len() >= length as usize {
            return Err(self.error(AmfErrorKind::StringBytes(length)));
        }
        Ok(Text::from_bytes(self.bytes(length)?))
    }

    /// Counts one more value.
    pub(super) fn count_value(&mut self) -> Result<(), AmfError> {
        self.values = self.values.saturating_add(1);
        if self.values > self.limits.values_max {
            return Err(self.error(AmfErrorKind::Values(self.limits.values_max)));
        }
        Ok(())
    }

    /// Goes one container deeper.
    pub(super) fn deeper(&self, depth: u32) -> Result<u32, AmfError> {
        if depth >= self.limits.depth_max {
            return Err(self.error(AmfErrorKind::Depth(self.limits.depth_max)));
        }
        Ok(depth.saturating_add(1))
    }

    /// The undivided rest.
    pub(crate) fn remaining(&self) -> Bytes {
        self.bytes.slice(self.offset.min(self.bytes.len())..)
    }
}
