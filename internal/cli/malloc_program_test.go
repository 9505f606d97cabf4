package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// allocation is a call of the program that writeAllocator makes.
type allocation struct {
	function string // malloc, calloc (of one), realloc (of what came before)
	size     uint16
	free     bool // what it returned is given back at once
}

// writeAllocator makes a program with an allocator of its own, which needs no library: it calls outer so many times, and that
// calls for each of the allocations. It keeps frame pointers, except in hidden, which asks for 4000 bytes once and has put
// something else into the frame pointer.
func writeAllocator(t testing.TB, path string, times uint16, calls ...allocation) {
	t.Helper()
	var c code
	places, sizes := map[string]int{}, map[string]int{}
	names := []string{"_start", "outer", "hidden", "malloc", "calloc", "realloc", "free"}
	emit := map[string]func(){
		"_start": func() { c.waits(); c.loop(times); c.exit() },
		"outer":  func() { c.allocations(calls) },
		"hidden": c.hidden,
		// They return addresses of their own that are different for every size.
		"malloc":  func() { c.returnsSum(0) },
		"calloc":  func() { c.returnsSum(1) },
		"realloc": func() { c.returnsSum(1) },
		"free":    c.returns,
	}
	for _, name := range names {
		c.align()
		places[name] = len(c.bytes)
		emit[name]()
		sizes[name] = len(c.bytes) - places[name]
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, codeELF(&c, names, places, sizes), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (c *code) goTo(target string) {
	if runtime.GOARCH == "arm64" {
		c.bl(target)
		return
	}
	c.near(target, 0xe8)
}

// waits reads a byte of standard input, or finds its end.
func (c *code) waits() {
	if runtime.GOARCH == "arm64" {
		c.word(0xd2800000) // mov x0, 0
		c.word(0xd10043e1) // sub x1, sp, 16
		c.word(0xd2800022) // mov x2, 1
		c.word(0xd28007e8) // mov x8, 63: read
		c.word(0xd4000001) // svc 0
		return
	}
	c.add(0x31, 0xc0, 0x31, 0xff)       // xor %eax, %eax: read; xor %edi, %edi
	c.add(0x48, 0x8d, 0x74, 0x24, 0xf0) // lea -16(%rsp), %rsi
	c.add(0xba, 1, 0, 0, 0, 0x0f, 0x05) // mov 1, %edx; syscall
}

// loop calls outer, then hidden once.
func (c *code) loop(times uint16) {
	if runtime.GOARCH == "arm64" {
		c.word(0xd280001d)                      // mov x29, 0
		c.word(0xd2800013 | uint32(times)<<5)   // mov x19, times
		c.bl("outer")                           // 1:
		c.word(0xf1000673)                      // subs x19, x19, 1
		c.word(0x54000001 | 0x7ffff<<5&^(1<<5)) // b.ne 1b
		c.bl("hidden")
		return
	}
	c.add(0x31, 0xed)                              // xor %ebp, %ebp
	c.add(0xbb, byte(times), byte(times>>8), 0, 0) // mov times, %ebx
	at := len(c.bytes)
	c.near("outer", 0xe8)                // 1: call outer
	c.add(0xff, 0xcb)                    // dec %ebx
	c.add(0x75, byte(at-len(c.bytes)-2)) // jne 1b
	c.near("hidden", 0xe8)
}

func (c *code) size(register uint32, n uint16) {
	if runtime.GOARCH == "arm64" {
		c.word(0xd2800000 | uint32(n)<<5 | register) // mov xN, n
		return
	}
	c.add(0xbf-byte(register), byte(n), byte(n>>8), 0, 0) // mov n, %edi or %esi
}

// allocations is the body of outer.
func (c *code) allocations(calls []allocation) {
	arm := runtime.GOARCH == "arm64"
	if arm {
		c.word(0xa9bf7bfd) // stp x29, x30, [sp, #-16]!
		c.word(0x910003fd) // mov x29, sp
	} else {
		c.add(0x55, 0x48, 0x89, 0xe5) // push %rbp; mov %rsp, %rbp
	}
	for _, a := range calls {
		switch {
		case a.function == "malloc":
			c.size(0, a.size)
		case a.function == "calloc":
			c.size(0, 1)
			c.size(1, a.size)
		case arm: // realloc: the old one is there already
			c.size(1, a.size)
		default:
			c.add(0x48, 0x89, 0xc7) // mov %rax, %rdi
			c.size(1, a.size)
		}
		c.goTo(a.function)
		if a.free {
			if !arm {
				c.add(0x48, 0x89, 0xc7)
			}
			c.goTo("free")
		}
	}
	if arm {
		c.word(0xa8c17bfd) // ldp x29, x30, [sp], #16
		c.word(0xd65f03c0) // ret
		return
	}
	c.add(0x5d, 0xc3) // pop %rbp; ret
}

// hidden uses the frame pointer for something else, as code without frame pointers does.
func (c *code) hidden() {
	if runtime.GOARCH == "arm64" {
		c.word(0xa9bf7bfd) // stp x29, x30, [sp, #-16]!
		c.word(0xd280003d) // mov x29, 1
		c.size(0, 4000)
		c.bl("malloc")
		c.word(0xa8c17bfd) // ldp x29, x30, [sp], #16
		c.word(0xd65f03c0) // ret
		return
	}
	c.add(0x55, 0xbd, 1, 0, 0, 0) // push %rbp; mov 1, %ebp
	c.size(0, 4000)
	c.near("malloc", 0xe8)
	c.add(0x5d, 0xc3) // pop %rbp; ret
}

// returnsSum returns an argument and 1 MiB.
func (c *code) returnsSum(argument uint32) {
	if runtime.GOARCH == "arm64" {
		c.word(0x91440000 | argument<<5) // add x0, xN, 0x100000
		c.word(0xd65f03c0)               // ret
		return
	}
	from := byte(0x87) // lea 0x100000(%rdi), %rax
	if argument == 1 {
		from = 0x86 // (%rsi)
	}
	c.add(0x48, 0x8d, from, 0, 0, 0x10, 0, 0xc3)
}

func (c *code) returns() {
	if runtime.GOARCH == "arm64" {
		c.word(0xd65f03c0)
		return
	}
	c.add(0xc3)
}
