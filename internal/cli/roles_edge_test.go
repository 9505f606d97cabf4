package cli

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// More programs to be traced: those that do what no ordinary program does.
func init() {
	for name, role := range map[string]func([]string) int{
		"chain":      roleChain,
		"pointers":   rolePointers,
		"name":       roleName,
		"deep":       roleDeep,
		"chroot":     roleChroot,
		"mounted":    roleMounted,
		"setuid":     roleSetuid,
		"namespaces": roleNamespaces,
		"nsids":      roleNsids,
		"check":      roleCheck,
	} {
		roles[name] = role
	}
}

// sibling is the path of another role beside this one.
func sibling(name string) string { return filepath.Join(filepath.Dir(os.Args[0]), name) }

// roleChain executes itself N times and then PATH, without a fork between: chain PATH N.
func roleChain(args []string) int {
	runtime.LockOSThread()
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	if n == 0 {
		return fail(syscall.Exec(args[0], []string{"true", "end"}, nil))
	}
	return fail(syscall.Exec(os.Args[0], []string{os.Args[0], args[0], strconv.Itoa(n - 1)}, nil))
}

func execve(path, argv, env unsafe.Pointer) syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(path), uintptr(argv), uintptr(env))
	return errno
}

// rolePointers executes PATH in one of these ways: pointers PATH HOW.
func rolePointers(args []string) int {
	runtime.LockOSThread()
	path, err := unix.BytePtrFromString(args[0])
	if err != nil {
		return fail(err)
	}
	word, _ := unix.BytePtrFromString("word")
	argv := [3]unsafe.Pointer{unsafe.Pointer(word), unsafe.Pointer(word), nil}
	none := [1]unsafe.Pointer{}
	// An array that ends where the mapped memory does, without a terminating NULL.
	page, err := unix.Mmap(-1, 0, 2*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fail(err)
	}
	if err := unix.Mprotect(page[os.Getpagesize():], unix.PROT_NONE); err != nil {
		return fail(err)
	}
	edge := unsafe.Pointer(&page[os.Getpagesize()-8])
	*(*unsafe.Pointer)(edge) = unsafe.Pointer(word)
	var errno syscall.Errno
	switch args[1] {
	case "empty argv":
		errno = execve(unsafe.Pointer(path), unsafe.Pointer(&none), nil)
	case "NULL argv":
		errno = execve(unsafe.Pointer(path), nil, nil)
	case "NULL name":
		errno = execve(nil, unsafe.Pointer(&argv), nil)
	case "argv without end":
		errno = execve(unsafe.Pointer(path), edge, nil)
	case "wild argv":
		errno = execve(unsafe.Pointer(path), unsafe.Pointer(&page[os.Getpagesize()]), nil)
	case "wild name":
		errno = execve(unsafe.Pointer(&page[os.Getpagesize()]), unsafe.Pointer(&argv), nil)
	default:
		return fail(fmt.Errorf("no way %q", args[1]))
	}
	runtime.KeepAlive(word)
	runtime.KeepAlive(path)
	return int(errno)
}

// roleName executes PATH under a name of LENGTH bytes, made longer by "/." in front: name PATH LENGTH.
func roleName(args []string) int {
	runtime.LockOSThread()
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	_ = syscall.Exec(longName(args[0], n), []string{"true", "x"}, nil)
	return 0
}

// longName is path, n bytes long.
func longName(path string, n int) string {
	long := strings.Repeat("/.", (n-len(path))/2) + path
	return strings.Repeat("/", n-len(long)) + long
}

// roleDeep executes PATH from a directory N levels below this one, each with a name of LENGTH bytes: deep PATH N LENGTH.
func roleDeep(args []string) int {
	runtime.LockOSThread()
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return fail(err)
	}
	length, err := strconv.Atoi(args[2])
	if err != nil {
		return fail(err)
	}
	for i := range n {
		dir := strings.Repeat(string(rune('a'+i%26)), length)
		if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
			return fail(err)
		}
		if err := syscall.Chdir(dir); err != nil {
			return fail(err)
		}
	}
	return fail(syscall.Exec(args[0], []string{"true", "deep"}, nil))
}

// roleChroot executes /PATH below DIR as its root: chroot DIR PATH.
func roleChroot(args []string) int {
	runtime.LockOSThread()
	if err := syscall.Chroot(args[0]); err != nil {
		return fail(err)
	}
	if err := syscall.Chdir("/"); err != nil {
		return fail(err)
	}
	return fail(syscall.Exec(args[1], []string{"in a chroot"}, nil))
}

// private takes the process into a mount namespace of its own, of which nobody else sees anything.
func private() error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return err
	}
	return unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
}

// noOverlay is roleMounted's status where the kernel has no overlayfs.
const noOverlay = 77

// roleMounted executes DIR/mnt/sub/NAME, where DIR/mnt shows DIR/src by a bind mount or an overlay: mounted DIR NAME HOW.
func roleMounted(args []string) int {
	if err := private(); err != nil {
		return fail(err)
	}
	dir := args[0]
	mnt := filepath.Join(dir, "mnt")
	var err error
	switch args[2] {
	case "bind":
		err = unix.Mount(filepath.Join(dir, "src"), mnt, "", unix.MS_BIND, "")
	case "overlay":
		err = unix.Mount("overlay", mnt, "overlay", 0, fmt.Sprintf("lowerdir=%s/src:%s/empty", dir, dir))
		if err == unix.ENODEV {
			return noOverlay
		}
	}
	if err != nil {
		return fail(fmt.Errorf("%s: %w", args[2], err))
	}
	if err := syscall.Chdir(filepath.Join(mnt, "sub")); err != nil {
		return fail(err)
	}
	program := filepath.Join(mnt, "sub", args[1])
	var st unix.Stat_t
	if err := unix.Stat(program, &st); err != nil {
		return fail(err)
	}
	return fail(syscall.Exec(program, []string{"mounted", fmt.Sprint(st.Dev), fmt.Sprint(st.Ino)}, nil))
}

const nobody = 65534

// roleSetuid executes as nobody a set-uid copy of PATH on a file system that allows it: setuid DIR PATH.
func roleSetuid(args []string) int {
	if err := private(); err != nil {
		return fail(err)
	}
	program, err := os.ReadFile(args[1])
	if err != nil {
		return fail(err)
	}
	if err := unix.Mount("none", args[0], "tmpfs", 0, ""); err != nil {
		return fail(err)
	}
	// nobody may not see what is above: the name is given from here.
	if err := syscall.Chdir(args[0]); err != nil {
		return fail(err)
	}
	if err := os.WriteFile("copy", program, 0o755); err != nil {
		return fail(err)
	}
	if err := os.Chmod("copy", 0o755|os.ModeSetuid); err != nil {
		return fail(err)
	}
	if err := syscall.Setresgid(nobody, nobody, nobody); err != nil {
		return fail(err)
	}
	if err := syscall.Setresuid(nobody, nobody, nobody); err != nil {
		return fail(err)
	}
	return fail(syscall.Exec("./copy", []string{"set-uid"}, nil))
}

// roleNamespaces runs role nsids in namespaces of its own: namespaces FILE.
func roleNamespaces(args []string) int {
	cmd := exec.Command(sibling("role-nsids"), args[0])
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	if err := cmd.Run(); err != nil {
		return fail(err)
	}
	return 0
}

// roleNsids writes its pid as the owner of /proc sees it, its own, and the inodes of its namespaces: nsids FILE.
func roleNsids(args []string) int {
	outside, err := os.Readlink("/proc/self")
	if err != nil {
		return fail(err)
	}
	text := fmt.Sprint(outside, " ", os.Getpid())
	for _, ns := range []string{"mnt", "pid"} {
		var st unix.Stat_t
		if err := unix.Stat("/proc/self/ns/"+ns, &st); err != nil {
			return fail(err)
		}
		text += fmt.Sprint(" ", st.Ino)
	}
	if err := os.WriteFile(args[0], []byte(text), 0o600); err != nil {
		return fail(err)
	}
	return 0
}

// roleCheck asks whether PATH may be executed, without executing it, and then does: check PATH. Its own status is the
// error of having asked.
func roleCheck(args []string) int {
	runtime.LockOSThread()
	const check = 0x10000 // AT_EXECVE_CHECK, Linux 6.14
	err := execveat(unix.AT_FDCWD, args[0], []string{"true", "asked"}, check)
	if errno := err.(syscall.Errno); errno != 0 {
		return int(errno)
	}
	return fail(syscall.Exec(args[0], []string{"true", "done"}, nil))
}

// exitProgram is an ELF file of this architecture that needs nothing else and ends with a status.
func exitProgram(status byte) []byte {
	var code []byte
	machine := elf.EM_X86_64
	switch runtime.GOARCH {
	case "amd64":
		code = []byte{
			0xbf, status, 0, 0, 0, // mov edi, status
			0xb8, unix.SYS_EXIT, 0, 0, 0, // mov eax, exit
			0x0f, 0x05, // syscall
		}
	case "arm64":
		machine = elf.EM_AARCH64
		for _, instruction := range []uint32{
			0xd2800000 | uint32(status)<<5,        // mov x0, status
			0xd2800008 | uint32(unix.SYS_EXIT)<<5, // mov x8, exit
			0xd4000001,                            // svc 0
		} {
			code = binary.LittleEndian.AppendUint32(code, instruction)
		}
	}
	return elfFile(machine, code, 0)
}

// brokenProgram has a segment of more bytes in the file than in memory. The kernel notices when it maps the segment, and
// by then the caller's memory is gone.
func brokenProgram() []byte {
	machine := elf.EM_X86_64
	if runtime.GOARCH == "arm64" {
		machine = elf.EM_AARCH64
	}
	return elfFile(machine, make([]byte, 64), 32)
}

// elfFile has one segment, of the whole file, of which so many bytes are missing in memory.
func elfFile(machine elf.Machine, code []byte, missing uint64) []byte {
	const base, header, segment = 0x400000, 64, 56
	size := uint64(header + segment + len(code))
	var b bytes.Buffer
	h := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Entry: base + header + segment, Phoff: header,
		Ehsize: header, Phentsize: segment, Phnum: 1,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	p := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base, Paddr: base,
		Filesz: size, Memsz: size - missing, Align: 0x10000,
	}
	for _, part := range []any{h, p, code} {
		_ = binary.Write(&b, binary.LittleEndian, part) // into memory: cannot fail
	}
	return b.Bytes()
}
