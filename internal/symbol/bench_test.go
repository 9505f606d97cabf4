package symbol

import (
	"os"
	"path/filepath"
	"testing"
)

// A thousand stacks of twenty frames in one program, which is what a profile prints at its end; the first time all
// tables are read.
func BenchmarkStacks(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	functions, err := Functions(self, "*", false)
	if err != nil {
		b.Fatal(err)
	}
	pid := uint32(os.Getpid())
	const stacks, frames = 1000, 20
	stack := func(p *Processes, i int) (named int) {
		for j := range frames {
			if p.Lookup(pid, functions[(i*7+j*131)%len(functions)].Address).Ok {
				named++
			}
		}
		return named
	}
	all := func(b *testing.B, p *Processes) {
		named := 0
		for i := range stacks {
			named += stack(p, i)
		}
		if named != stacks*frames {
			b.Fatalf("%d of %d frames have a name", named, stacks*frames)
		}
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			p := NewProcesses()
			all(b, p)
			p.Close()
		}
	})
	b.Run("again", func(b *testing.B) {
		p := NewProcesses()
		defer p.Close()
		for b.Loop() {
			all(b, p)
		}
	})
}

// The same with the functions that are put into others, and lines.
func BenchmarkInlinedStacks(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	functions, err := Functions(self, "*", false)
	if err != nil {
		b.Fatal(err)
	}
	pid := uint32(os.Getpid())
	const stacks, frames = 1000, 20
	addrs := make([][]uint64, stacks)
	for i := range addrs {
		for j := range frames {
			f := functions[(i*7+j*131)%len(functions)]
			addrs[i] = append(addrs[i], f.Address+f.Size/2)
		}
	}
	all := func(b *testing.B, p *Processes) {
		for _, stack := range addrs {
			if got := p.Stack(pid, stack); len(got) < frames {
				b.Fatal(got)
			}
		}
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			p := NewProcesses()
			all(b, p)
			p.Close()
		}
	})
	b.Run("again", func(b *testing.B) {
		p := NewProcesses()
		defer p.Close()
		for b.Loop() {
			all(b, p)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	pid := uint32(os.Getpid())
	b.Run("first", func(b *testing.B) {
		p := NewProcesses()
		defer p.Close()
		for b.Loop() {
			p.Forget(pid)
			if err := p.Observe(pid); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		p := NewProcesses()
		defer p.Close()
		for b.Loop() {
			if err := p.Observe(pid); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLibrary(b *testing.B) {
	found, err := filepath.Glob("/usr/lib/*-linux-gnu/libc.so.6")
	if err != nil || len(found) == 0 {
		b.Skip("no C library")
	}
	for b.Loop() {
		err := withFile(found[0], func(img *image) error {
			_, err := img.functions(systemDebugDirs, found[0])
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
