package workload

import (
	"bytes"
	"debug/elf"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

func TestTinyELF(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := tinyELF(arch)
		if err != nil {
			t.Fatal(err)
		}
		file, err := elf.NewFile(bytes.NewReader(image))
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		segment := file.Progs[0]
		if file.Entry < segment.Vaddr || file.Entry >= segment.Vaddr+segment.Filesz || segment.Filesz != uint64(len(image)) {
			t.Errorf("%s: entry %#x, segment %+v, file of %d bytes", arch, file.Entry, segment.ProgHeader, len(image))
		}
	}
	if _, err := tinyELF("vax"); err == nil {
		t.Error("an unknown architecture is no error")
	}
}

func TestTinyRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiny")
	if err := WriteTiny(path, runtime.GOARCH); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command(path).Run(); err != nil {
		t.Error(err)
	}
}
