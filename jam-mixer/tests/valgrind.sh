#!/usr/bin/env bash
# Runs the codec tests under valgrind's memcheck: the C code may not read or write outside its memory, nor use a
# value that was never set. Takes some minutes; needs valgrind.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Valgrind counts what the library keeps for the life of the process (the modes) as reachable, not as lost.
program=$(cargo test -p jam-mixer --test opus_custom --no-run --message-format=json \
    | sed -n 's/.*"executable":"\([^"]*opus_custom[^"]*\)".*/\1/p' | tail -n 1)
valgrind --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite --track-origins=yes --quiet \
    "$program" --test-threads=1 \
    --skip every_block_size --skip more_bytes --skip decoders_agree --skip encoders_sound "$@"
echo "valgrind found nothing"
