//! A decoder that moves its history once in nine blocks instead of at each.
//!
//! A CELT decoder remembers 2,048 samples and shifts all of them by one block before it decodes the next: for blocks
//! of 128 samples that is 8 KiB moved, and 8 KiB of cache lines claimed, for 512 bytes of news. The edits below give
//! each side of the history some room behind it. A decoded block slides the view of the history along, and the
//! history goes back to the beginning when the room is used up, or before a lost block, whose concealment
//! searches the whole history anyway. The samples stay the same bit for bit; `docs/codec.md` says what it saves.

use std::fs;
use std::path::Path;

/// Samples of room behind the history of each side: eight blocks of 128 samples.
const ROOM: usize = 1024;

/// What is replaced by what, and how often it stands in `celt_decoder.c` of libopus 1.6.1.
const EDITS: [(usize, &str, &str); 7] = [
    (1, "   celt_sig _decode_mem[1];", "   int slid;\n   celt_sig _decode_mem[1];"),
    (
        1,
        "(QEXT_SCALE(DECODE_BUFFER_SIZE)+mode->overlap)-1)",
        "(QEXT_SCALE(DECODE_BUFFER_SIZE)+mode->overlap+SLIDING_ROOM)-1)",
    ),
    (
        3,
        "st->_decode_mem + c*(decode_buffer_size+overlap)",
        "st->_decode_mem + st->slid + c*(decode_buffer_size+overlap+SLIDING_ROOM)",
    ),
    (
        2,
        "(st->_decode_mem+(decode_buffer_size+overlap)*",
        "(st->_decode_mem+(decode_buffer_size+overlap+SLIDING_ROOM)*",
    ),
    (
        1,
        "(st->_decode_mem+(decode_buffer_size+st->overlap)*",
        "(st->_decode_mem+(decode_buffer_size+st->overlap+SLIDING_ROOM)*",
    ),
    (
        1,
        "   N = M*mode->shortMdctSize;\n   c=0; do {\n",
        "   N = M*mode->shortMdctSize;\n   if (data == NULL || len<=1) {\n      c=0; do {\n         \
         celt_sig *home = st->_decode_mem + c*(decode_buffer_size+overlap+SLIDING_ROOM);\n         \
         if (st->slid) OPUS_MOVE(home, home+st->slid, decode_buffer_size+overlap);\n      \
         } while (++c<CC);\n      st->slid = 0;\n   }\n   c=0; do {\n",
    ),
    (
        1,
        "   c=0; do {\n      OPUS_MOVE(decode_mem[c], decode_mem[c]+N, decode_buffer_size-N+overlap);\n   } while (++c<CC);\n",
        "   if (st->slid + N <= SLIDING_ROOM) {\n      c=0; do {\n         decode_mem[c] += N;\n         \
         out_syn[c] += N;\n      } while (++c<CC);\n      st->slid += N;\n   } else {\n      c=0; do {\n         \
         celt_sig *home = decode_mem[c] - st->slid;\n         \
         OPUS_MOVE(home, decode_mem[c]+N, decode_buffer_size-N+overlap);\n         \
         decode_mem[c] = home;\n         out_syn[c] -= st->slid;\n      \
         } while (++c<CC);\n      st->slid = 0;\n   }\n",
    ),
];

/// The source of the decoder with the edits, or `None` if these are not the lines they were made for (a source
/// directory of somebody's own choice): the decoder then works as it comes.
pub(super) fn decoder(opus: &Path) -> Option<String> {
    let mut text = fs::read_to_string(opus.join("celt/celt_decoder.c")).ok()?.replace("\r\n", "\n");
    for (count, old, new) in EDITS {
        if text.matches(old).count() != count {
            println!(
                "cargo:warning=celt_decoder.c differs from that of libopus 1.6.1: decoding costs a little more"
            );
            return None;
        }
        text = text.replace(old, new);
    }
    Some(format!("#define SLIDING_ROOM {ROOM}\n{text}"))
}
