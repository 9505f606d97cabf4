package symbol

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const maxPerfMap = 128 << 20

// readPerfMap reads what a JIT tells of its code, a line a function: "START SIZE NAME", the numbers hexadecimal. What
// comes later is what holds, because memory is used again.
func readPerfMap(r io.Reader) *table {
	var b tableBuilder
	lines := bufio.NewReaderSize(io.LimitReader(r, maxPerfMap), 64<<10)
	for count := uint32(1); !b.full(); count++ {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) { // a name of such a length is no name
				_, err = lines.ReadSlice('\n')
			}
			if err == nil {
				continue
			}
		}
		if err != nil {
			break // a last line without its end is being written
		}
		addr, rest, ok := cutHex(bytes.TrimPrefix(line, []byte("0x")))
		if !ok || len(rest) < 2 || rest[0] != ' ' {
			continue
		}
		size, rest, ok := cutHex(bytes.TrimPrefix(rest[1:], []byte("0x")))
		if !ok || size == 0 || len(rest) < 2 || rest[0] != ' ' {
			continue
		}
		b.add(addr, size, zeroEnded(bytes.TrimSpace(rest)), count)
	}
	return b.table()
}
