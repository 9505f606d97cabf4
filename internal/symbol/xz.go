package symbol

import (
	"bytes"
	"errors"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

const maxDictionary = 64 << 20

var errXZ = errors.New("not a sound xz file")

// expandXZ returns the content of an xz file of at most limit bytes. The container is read here, because the dictionary that
// a block asks for, up to 4 GiB, has to be checked first; checksums are not looked at.
func expandXZ(data []byte, limit int) ([]byte, error) {
	const head = 12
	if len(data) < head || !bytes.HasPrefix(data, []byte("\xfd7zXZ\x00")) {
		return nil, errXZ
	}
	check := checkSize(data[7])
	in := bytes.NewReader(data[head:])
	var out bytes.Buffer
	for {
		dictionary, err := readBlockHeader(in)
		if err != nil {
			return nil, err
		}
		if dictionary == 0 { // the index: no more blocks
			return out.Bytes(), nil
		}
		start := in.Len()
		r, err := lzma.Reader2Config{DictCap: dictionary}.NewReader2(in)
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(&out, io.LimitReader(r, int64(limit-out.Len())+1)); err != nil {
			return nil, err
		}
		if out.Len() > limit {
			return nil, errors.New("an xz file of too much content")
		}
		padding := (4 - (start-in.Len())%4) % 4
		if _, err := in.Seek(int64(padding+check), io.SeekCurrent); err != nil {
			return nil, err
		}
	}
}

// checkSize returns how long the check of each block is; the header's second flag byte says which it is.
func checkSize(flags byte) int {
	return [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[flags&0xf]
}

// readBlockHeader returns the size of the block's dictionary, 0 if the index begins here.
func readBlockHeader(in *bytes.Reader) (dictionary int, err error) {
	size, err := in.ReadByte()
	if err != nil || size == 0 {
		return 0, err
	}
	header := make([]byte, int(size)*4+3)
	if _, err := io.ReadFull(in, header); err != nil {
		return 0, errXZ
	}
	flags := header[0]
	fields := bytes.NewReader(header[1 : len(header)-4])
	if flags&3 != 0 { // several filters: not how debug information is packed
		return 0, errXZ
	}
	for _, present := range []byte{0x40, 0x80} { // compressed and uncompressed size
		if flags&present != 0 {
			if err := skipNumber(fields); err != nil {
				return 0, err
			}
		}
	}
	var filter [3]byte // the filter's number, the size of its properties, the property
	if _, err := io.ReadFull(fields, filter[:]); err != nil || filter[0] != 0x21 || filter[1] != 1 {
		return 0, errXZ
	}
	return dictionarySize(filter[2])
}

func skipNumber(in *bytes.Reader) error {
	for range 9 {
		b, err := in.ReadByte()
		if err != nil {
			return errXZ
		}
		if b < 0x80 {
			return nil
		}
	}
	return errXZ
}

func dictionarySize(bits byte) (int, error) {
	if bits > 40 {
		return 0, errXZ
	}
	size := (2 | int64(bits&1)) << (bits/2 + 11)
	if size > maxDictionary {
		return 0, errors.New("an xz file with too large a dictionary")
	}
	return int(size), nil
}
