package fetch

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// module makes an ELF file with nothing in it but a .modinfo section.
func module(t *testing.T, modinfo string) []byte {
	t.Helper()
	names := "\x00.modinfo\x00.shstrtab\x00"
	const header = 64
	body := header + len(modinfo) + len(names)
	var b bytes.Buffer
	write := func(v any) {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	h := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1,
		Shoff: uint64(body), Ehsize: header, Shentsize: 64, Shnum: 3, Shstrndx: 2,
	}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	write(h)
	b.WriteString(modinfo + names)
	write(elf.Section64{})
	write(elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: header, Size: uint64(len(modinfo))})
	write(elf.Section64{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(header + len(modinfo)), Size: uint64(len(names))})
	return b.Bytes()
}

// tree makes a kernel's module tree: name of the file -> what the module depends on.
func tree(t *testing.T, builtin string, modules map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, content []byte) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("modules.builtin", []byte(builtin))
	put("kernel/README", nil)
	for name, depends := range modules {
		put("kernel/drivers/"+name, module(t, "license=GPL\x00depends="+depends+"\x00name=x\x00"))
	}
	return dir
}

func TestCopyModules(t *testing.T) {
	from := tree(t, "kernel/fs/ext4/ext4.ko\n", map[string]string{
		"virtio_ring.ko":       "",
		"virtio.ko":            "virtio_ring",
		"virtio-pci.ko":        "virtio_ring,virtio,virtio-pci-modern",
		"virtio-pci-modern.ko": "virtio_ring",
		"unwanted.ko":          "",
	})
	to := filepath.Join(t.TempDir(), "modules")
	if err := copyModules(t.Context(), from, to, []string{"virtio_pci", "ext4", "virtio"}, "no-busybox"); err != nil {
		t.Fatal(err)
	}
	order, err := os.ReadFile(filepath.Join(to, "order"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("virtio_ring\nvirtio\nvirtio_pci_modern\nvirtio_pci\n", string(order)); diff != "" {
		t.Error(diff)
	}
	files, _ := filepath.Glob(filepath.Join(to, "*.ko"))
	if len(files) != 4 {
		t.Errorf("copied %v", files)
	}
}

func TestCopyModulesErrors(t *testing.T) {
	for _, tt := range []struct {
		name, wanted, message string
		modules               map[string]string
	}{
		{"missing", "a", "kernel module a (wanted by the guest) is not in", nil},
		{"missing dependency", "a", "kernel module b (wanted by the guest, a)", map[string]string{"a.ko": "b"}},
		{"circle", "a", "kernel module a depends on itself through the guest, a, b", map[string]string{"a.ko": "b", "b.ko": "a"}},
		{"compression", "a", "compressed in a way that is not known", map[string]string{"a.ko.lz9": ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := copyModules(t.Context(), tree(t, "", tt.modules), t.TempDir(), []string{tt.wanted}, "no-busybox")
			if err == nil || !strings.Contains(err.Error(), tt.message) {
				t.Errorf("got %v, want %q", err, tt.message)
			}
		})
	}
}

func TestModuleDepends(t *testing.T) {
	for _, tt := range []struct {
		name string
		file []byte
		want []string
		ok   bool
	}{
		{"none", module(t, "license=GPL\x00depends=\x00"), nil, true},
		{"no entry", module(t, ""), nil, true},
		{"two", module(t, "depends=a-b,c\x00"), []string{"a_b", "c"}, true},
		{"not ELF", []byte("text"), nil, false},
		{"empty", nil, nil, false},
	} {
		got, err := moduleDepends(tt.file)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err == nil) != tt.ok {
			t.Errorf("%s: %v %s", tt.name, err, diff)
		}
	}
}

func FuzzModuleDepends(f *testing.F) {
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = moduleDepends(b) })
}

func TestFindImage(t *testing.T) {
	for _, tt := range []struct {
		name    string
		files   []string
		release string
	}{
		{"boot", []string{"boot/vmlinuz-6.1.0-50-cloud-amd64", "boot/config-6.1.0-50-cloud-amd64"}, "6.1.0-50-cloud-amd64"},
		{"beside the modules", []string{"usr/lib/modules/7.2.13-cloud-amd64/vmlinuz"}, "7.2.13-cloud-amd64"},
		{"none", []string{"boot/config-6.1"}, ""},
		{"two", []string{"boot/vmlinuz-1", "boot/vmlinuz-2"}, ""},
	} {
		root := t.TempDir()
		for _, name := range tt.files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, release, err := findImage(root)
		if release != tt.release || (err == nil) != (tt.release != "") {
			t.Errorf("%s: release %q, %v", tt.name, release, err)
		}
	}
}
