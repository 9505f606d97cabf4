package allocator

import (
	"encoding/hex"
	"strings"
	"testing"
)

// code reads "55 | 48 89 e5": bars mean nothing.
func code(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "|", "").Replace(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestProbePlace(t *testing.T) {
	for _, c := range []struct {
		name, machine, code string
		size                Size
		want                int
	}{
		{"a push at the entry", "amd64", "41 54 | 55 | 53", SizeArg0, 0},
		{"endbr64, push", "amd64", "f3 0f 1e fa | 55 | 48 89 e5", SizeArg0, 4},
		{"lea, mov from memory, cmp, jbe", "amd64", "48 8d 47 17 | 48 8b 15 38 25 14 00 | 48 83 f8 1f | 76 5a | 90", SizeArg0, 0},
		{"the same with another register", "amd64", "48 8d 47 17 | 4c 8b 05 38 25 14 00 | 48 83 f8 1f | 76 5a | 90", SizeArg0, 15},
		{"test, jz", "amd64", "48 85 ff | 74 10 | c3", SizeArg0, 3},
		{"cmpb with memory, je", "amd64", "80 3d 71 0e 14 00 00 | 74 07 | e9 00 00 00 00", SizeArg1, 7},
		{"mov to an argument's register", "amd64", "48 89 c7 | 55", SizeArg0, 0},
		{"mov to the stack pointer", "amd64", "48 89 c4 | 55", SizeArg0, 0},
		{"a store", "amd64", "48 89 07 | 55", SizeArg0, 0},
		{"mul, of two arguments", "amd64", "48 89 f8 | 48 f7 e6 | 0f 80 9c 01 00 00", SizeProduct01, 6},
		{"mul where the third argument matters", "amd64", "48 89 f8 | 48 f7 e6 | 0f 80 9c 01 00 00", SizeArg2, 0},
		{"a loop back behind the entry", "amd64", "f3 0f 1e fa | 55 | 5d | eb fc", SizeArg0, 0},
		{"a far jump back", "amd64", "f3 0f 1e fa | 55 | 5d | e9 f9 ff ff ff", SizeArg0, 0},
		{"what is not known", "amd64", "0f 05 | 55", SizeArg0, 0},
		{"nothing harmful and no end", "amd64", strings.Repeat("48 85 ff ", 20), SizeArg0, 0},
		{"cut off", "amd64", "48 8d", SizeArg0, 0},
		{"empty", "amd64", "", SizeArg0, 0},
		{"Go", "amd64", "49 3b 66 10 | 0f 86 90 01 00 00 | 55 | 48 89 e5", SizeGo, 10},
		{"Go, with a large frame", "amd64", "4c 8d 64 24 c8 | 4d 3b 66 10 | 76 20 | 55", SizeGo, 11},
		{"Go without a look at the stack", "amd64", "55 | 48 89 e5", SizeGo, 0},
		{"another machine", "arm64", "fd 7b bf a9", SizeArg0, 0},
	} {
		if got := probePlace(c.machine, code(t, c.code), c.size); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func FuzzProbePlace(f *testing.F) {
	for _, text := range []string{"f3 0f 1e fa 55", "48 8d 47 17 48 83 f8 1f 76 5a", "49 3b 66 10 0f 86 90 01 00 00 55"} {
		f.Add(code(f, text), uint32(SizeArg0))
		f.Add(code(f, text), uint32(SizeGo))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint32) {
		if at := probePlace("amd64", b, Size(size)); at < 0 || at > maxSkipped || at > 0 && at >= len(b) {
			t.Errorf("%d of %d bytes", at, len(b))
		}
		_, _ = stub("amd64", b, 0x1000)
		_, _ = stub("arm64", b, 0x1000)
		_ = branches("arm64", b, 0, func(uint64) bool { return true })
	})
}

func TestBranches(t *testing.T) {
	for _, c := range []struct {
		name, machine, code string
		addr, target        uint64
		call, found         bool
	}{
		{"call", "amd64", "90 | e8 fa 0f 00 00", 0x1000, 0x2000, true, true},
		{"jump", "amd64", "e9 fb 0f 00 00", 0x1000, 0x2000, false, true},
		{"conditional jump", "amd64", "0f 84 fa 0f 00 00", 0x1000, 0x2000, false, true},
		{"short jump", "amd64", "eb fe", 0x1000, 0x1000, false, true},
		{"back", "amd64", "e8 fb ef ff ff", 0x2000, 0x1000, true, true},
		{"elsewhere", "amd64", "e8 00 00 00 00", 0x1000, 0x2000, true, false},
		{"bl", "arm64", "00 04 00 94", 0x1000, 0x2000, true, true},
		{"b", "arm64", "00 fc ff 17", 0x2000, 0x1000, false, true},
	} {
		found := branches(c.machine, code(t, c.code), c.addr, func(target uint64) bool { return target == c.target })
		if len(found) > 0 != c.found || c.found && found[0].call != c.call {
			t.Errorf("%s: %+v", c.name, found)
		}
	}
}

func TestStub(t *testing.T) {
	for _, c := range []struct {
		name, machine, code string
		want                uint64
	}{
		{"plain", "amd64", "ff 25 fa 0f 00 00", 0x2000},
		{"with endbr64 and bnd", "amd64", "f3 0f 1e fa | f2 ff 25 f5 0f 00 00", 0x2000},
		{"another jump", "amd64", "ff 24 25 00 00 00 00", 0},
		{"adrp, ldr", "arm64", "10 00 00 b0 | 11 06 40 f9", 0x2008},
		{"bti, adrp, ldr", "arm64", "5f 24 03 d5 | 10 00 00 b0 | 11 06 40 f9", 0x2008},
	} {
		if got, ok := stub(c.machine, code(t, c.code), 0x1000); got != c.want || ok != (c.want != 0) {
			t.Errorf("%s: %#x, %v", c.name, got, ok)
		}
	}
}
