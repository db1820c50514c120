//! AMF0 and AMF3 values: property order kept, every marker known, depth and size bounded (spec section 6).

pub mod amf0;
pub mod amf3;
mod object;
mod reader;
mod text;

pub use object::Object;
pub(crate) use reader::Reader;
pub use text::Text;

/// Why AMF bytes cannot be read, or a value cannot be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("AMF at byte {offset}: {kind}")]
pub struct AmfError {
    /// Where in the input; for writing, how many bytes had been written.
    pub offset: usize,
    /// What was wrong.
    pub kind: AmfErrorKind,
}

/// What was wrong with an AMF value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AmfErrorKind {
    /// The input ends inside a value.
    #[error("input ends inside a value")]
    Truncated,
    /// A marker that does not exist, or is reserved.
    #[error("unknown marker {0:#04x}")]
    Marker(u8),
    /// An object end marker where a value was expected.
    #[error("object end without an object")]
    UnexpectedEnd,
    /// Containers nested deeper than allowed.
    #[error("nested deeper than {0}")]
    Depth(u32),
    /// More values than allowed.
    #[error("more than {0} values")]
    Values(u32),
    /// A string longer than allowed, or longer than its length field can say.
    #[error("string of {0} bytes")]
    StringBytes(u32),
    /// A reference to something that was not there.
    #[error("reference to missing entry {0}")]
    Reference(u32),
    /// An object of a class with a private format.
    #[error("object of a class with a private format")]
    Externalizable,
    /// An integer outside the 29 bits AMF3 has.
    #[error("integer {0} does not fit 29 bits")]
    Integer(i32),
}
