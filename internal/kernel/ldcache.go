package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

// The cache of ld.so, as glibc from 2.2 on writes it (sysdeps/generic/dl-cache.h). An older format may come first; it is
// passed over.
const (
	ldCacheMagic    = "glibc-ld.so.cache1.1"
	ldCacheHeader   = 48
	ldCacheEntry    = 24
	maxLdCacheSize  = 64 << 20
	maxLdCachePaths = 1 << 18
)

// Flags of an entry: for which machine the library is.
const (
	ldFlagsAMD64 = 0x0303
	ldFlagsARM64 = 0x0a03
)

// library is an entry of ld.so's cache.
type library struct{ name, path string }

var errNoLdCache = errors.New("not a cache of ld.so")

// parseLdCache returns the libraries of a machine in the cache's order, in which ld.so prefers them.
func parseLdCache(raw []byte, machine string) ([]library, error) {
	at := bytes.Index(raw, []byte(ldCacheMagic))
	if at < 0 || len(raw)-at < ldCacheHeader {
		return nil, errNoLdCache
	}
	raw = raw[at:] // names and paths are counted from here
	var order binary.ByteOrder = binary.LittleEndian
	if raw[28]&3 == 3 {
		order = binary.BigEndian
	}
	count := order.Uint32(raw[20:])
	if count > maxLdCachePaths || uint64(count)*ldCacheEntry > uint64(len(raw)-ldCacheHeader) {
		return nil, errNoLdCache
	}
	text := func(at uint32) string {
		if uint64(at) >= uint64(len(raw)) {
			return ""
		}
		s, _, ended := bytes.Cut(raw[at:min(len(raw), int(at)+4096)], []byte{0})
		if !ended {
			return ""
		}
		return string(s)
	}
	var libraries []library
	for i := range int(count) {
		entry := raw[ldCacheHeader+i*ldCacheEntry:][:ldCacheEntry]
		switch flags := order.Uint32(entry); {
		case machine == "amd64" && flags != ldFlagsAMD64, machine == "arm64" && flags != ldFlagsARM64:
			continue
		}
		lib := library{text(order.Uint32(entry[4:])), text(order.Uint32(entry[8:]))}
		if lib.name != "" && strings.HasPrefix(lib.path, "/") {
			libraries = append(libraries, lib)
		}
	}
	return libraries, nil
}

// isLibrary says whether a library's file name is of the library asked for: "libc" is "libc.so.6", "libssl.so" is "libssl.so.3".
func isLibrary(file, name string) bool {
	rest, ok := strings.CutPrefix(file, name)
	if !ok {
		return false
	}
	if strings.Contains(name, ".so") {
		return rest == "" || rest[0] == '.'
	}
	return rest == ".so" || strings.HasPrefix(rest, ".so.")
}
