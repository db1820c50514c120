//! Message 20 and its rules: which audio formats a server takes (spec 2.2, 3.3, 10.6).

use super::Fault;
use crate::types::{AudioProps, BlockCodec, BlockFactor, Layout, Sequence};
use crate::wire::{Reader, Writer};

const CODEC_CELT: u16 = 1;
const CODEC_OPUS: u16 = 2;
const CODEC_OPUS64: u16 = 3;
const FLAGS_NONE: u16 = 0;
const FLAGS_WITH_COUNTER: u16 = 1;
const SAMPLE_RATE_HZ: u32 = 48_000;

/// The sizes of a coded block, without sequence byte: what libopus can produce. The raw sizes lie inside.
///
/// Shipped servers allow up to 20,000, which lets one small message start a large stream.
const BLOCK_BYTES: std::ops::RangeInclusive<u16> = 10..=1275;

/// A valid message 20.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Props {
    Opus(AudioProps),
    Celt,
}

pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Props, Fault> {
    let wire_block_bytes = reader.u32()?;
    let factor = match reader.u16()? {
        1 => BlockFactor::One,
        2 => BlockFactor::Two,
        4 => BlockFactor::Four,
        _ => return Err(Fault::OutOfRange("block size factor")),
    };
    let layout = match reader.u8()? {
        1 => Layout::Mono,
        2 => Layout::Stereo,
        _ => return Err(Fault::OutOfRange("audio channels")),
    };
    let _sample_rate_hz = reader.u32()?;
    let codec = reader.u16()?;
    // Any other value than 1 means no sequence bytes, as shipped programs read it.
    let sequence = match reader.u16()? {
        FLAGS_WITH_COUNTER => Sequence::With,
        _ => Sequence::Without,
    };
    let _codec_argument = reader.u32()?;
    let codec = match codec {
        // CELT streams have sizes of their own, and only the answer "use Opus" follows from them.
        CODEC_CELT if (10..=20_000).contains(&wire_block_bytes) => return Ok(Props::Celt),
        CODEC_OPUS => BlockCodec::Opus,
        CODEC_OPUS64 => BlockCodec::Opus64,
        _ => return Err(Fault::OutOfRange("codec")),
    };
    let sequence_bytes = match sequence {
        Sequence::With => 1,
        Sequence::Without => 0,
    };
    let block_bytes = wire_block_bytes
        .checked_sub(sequence_bytes)
        .and_then(|bytes| u16::try_from(bytes).ok())
        .filter(|bytes| BLOCK_BYTES.contains(bytes))
        .ok_or(Fault::OutOfRange("base network size"))?;
    Ok(Props::Opus(AudioProps { codec, layout, block_bytes, factor, sequence }))
}

pub(super) fn emit(props: &AudioProps, writer: &mut Writer<'_>) {
    let codec = match props.codec {
        BlockCodec::Opus => CODEC_OPUS,
        BlockCodec::Opus64 => CODEC_OPUS64,
    };
    let flags = match props.sequence {
        Sequence::Without => FLAGS_NONE,
        Sequence::With => FLAGS_WITH_COUNTER,
    };
    emit_fields(props.wire_block_bytes() as u32, props, codec, flags, writer);
}

/// What a client before 3.3.1 announces; only tests and tools send it.
pub(super) fn emit_celt(writer: &mut Writer<'_>) {
    let shape = AudioProps {
        codec: BlockCodec::Opus,
        layout: Layout::Mono,
        block_bytes: 22,
        factor: BlockFactor::One,
        sequence: Sequence::Without,
    };
    emit_fields(22, &shape, CODEC_CELT, FLAGS_NONE, writer);
}

fn emit_fields(wire_block_bytes: u32, props: &AudioProps, codec: u16, flags: u16, writer: &mut Writer<'_>) {
    writer.put_u32(wire_block_bytes);
    writer.put_u16(props.factor.blocks() as u16);
    writer.put_u8(props.layout.sides() as u8);
    writer.put_u32(SAMPLE_RATE_HZ);
    writer.put_u16(codec);
    writer.put_u16(flags);
    writer.put_u32(0);
}
