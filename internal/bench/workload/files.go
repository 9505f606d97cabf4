package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Files is how many files MakeFiles makes.
const Files = 1000

// FilePath is the n-th path that OpenFiles opens: it ends in seven digits, and begins again after Files.
func FilePath(dir string, n int) string { return fmt.Sprintf("%s/%07d", dir, n%Files) }

// MakeFiles makes the folder with the files that OpenFiles opens.
func MakeFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for n := range Files {
		if err := os.WriteFile(FilePath(dir, n), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// OpenFiles opens files that MakeFiles has made, and closes them: number 0, 1 and so on, over and over. With a pace, each
// opens that long after the one before, and a slice holds nothing but the opens and closes themselves, and no CPU time.
func (c *Caller) OpenFiles(dir string, slices, calls int, pace time.Duration) ([]Slice, error) {
	return c.do(job{Kind: files, Slices: slices, Calls: calls, Dir: dir, Pace: pace})
}

// openFiles is a slice of OpenFiles.
func (j job) openFiles(first int) (Slice, error) {
	if !filepath.IsAbs(j.Dir) {
		return Slice{}, fmt.Errorf("want the path of a folder, got %q", j.Dir)
	}
	paths := make([][]byte, Files)
	for n := range paths {
		paths[n] = append([]byte(FilePath(j.Dir, n)), 0)
	}
	if j.Pace > 0 {
		return j.pacedFiles(paths, first)
	}
	return timed(j.Calls, func() error {
		for n := first; n < first+j.Calls; n++ {
			if err := openAndClose(paths[n%Files]); err != nil {
				return err
			}
		}
		return nil
	})
}

// pacedFiles makes calls at fixed moments and waits for them in a loop: a sleeping thread would wake up late, and cold. The
// clock it reads is no system call.
func (j job) pacedFiles(paths [][]byte, first int) (Slice, error) {
	s := Slice{Calls: j.Calls}
	due := time.Now()
	for n := first; n < first+j.Calls; n++ {
		begin := time.Now()
		for ; begin.Before(due); begin = time.Now() {
		}
		if err := openAndClose(paths[n%Files]); err != nil {
			return Slice{}, err
		}
		s.Wall += time.Since(begin)
		if due = due.Add(j.Pace); due.Before(begin) {
			due = begin // somebody else had the CPU: what was missed is not made up for
		}
	}
	return s, nil
}

func openAndClose(path []byte) error {
	fd, err := open(path)
	if err == 0 {
		_, _, err = syscall.RawSyscall(syscall.SYS_CLOSE, fd, 0, 0)
	}
	if err != 0 {
		return fmt.Errorf("opening and closing %s: %w", path[:len(path)-1], err)
	}
	return nil
}
