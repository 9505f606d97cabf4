package script

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"sonde/internal/compile"
	"sonde/internal/compile/types"
)

func (r *Runner) time(s *site) error {
	r.text = s.clock.append(r.text[:0], r.env.Now())
	if r.env.JSON {
		return r.writeText("time", r.text)
	}
	return r.write(r.text)
}

// join writes the strings on one line. One that is not there has no bytes, an empty one its NUL.
func (r *Runner) join(s *site, body []byte) error {
	r.text = r.text[:0]
	for i := range s.fields {
		f := &s.fields[i]
		if f.tail >= 0 && !r.tails[f.tail].sent {
			break
		}
		if i > 0 {
			r.text = append(r.text, s.Text...)
		}
		r.text = r.appendFieldText(r.text, f, body)
	}
	if r.env.JSON {
		return r.writeText("join", r.text)
	}
	r.text = append(r.text, '\n')
	return r.write(r.text)
}

// cat writes the beginning of a file.
func (r *Runner) cat(s *site, body []byte) error {
	path := string(r.run(r.text[:0], s, body))
	content, err := head(path, r.p.Config.MaxCatBytes)
	if err != nil {
		return r.failed(s, "cat", err)
	}
	return r.outcome("cat", content, "")
}

// catPatience is how long cat waits for what is no regular file: a pipe that nobody writes to must not hold up the script.
const catPatience = time.Second

func head(path string, most int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_ = f.SetReadDeadline(time.Now().Add(catPatience)) // regular files have none, and need none
	return io.ReadAll(io.LimitReader(f, int64(most)))
}

// outcome writes what cat and system give, in text with an end.
func (r *Runner) outcome(kind string, text []byte, end string) error {
	if r.env.JSON {
		return r.writeText(kind, text)
	}
	r.text = append(r.appendForeign(r.text[:0], text), end...)
	return r.write(r.text)
}

// system runs a command and waits for it: what it writes stands between what the script prints before and after.
func (r *Runner) system(s *site, body []byte) error {
	command := string(r.run(r.text[:0], s, body))
	if err := r.Flush(); err != nil {
		return err
	}
	var out capped
	err := r.env.System(command, &out, r.env.Err)
	if len(out.text) > 0 || err == nil {
		if err := r.outcome("syscall", out.text, "\n"); err != nil {
			return err
		}
	}
	if err == nil && out.left > 0 {
		err = fmt.Errorf("%d bytes of its output are left out", out.left)
	}
	if err != nil {
		return r.failed(s, "system", err)
	}
	return nil
}

// outputMost bounds what is kept of a command's output.
const outputMost = 16 << 20

// capped keeps the beginning of what is written to it.
type capped struct {
	text []byte
	left int
}

func (c *capped) Write(p []byte) (int, error) {
	n := min(len(p), outputMost-len(c.text))
	c.text = append(c.text, p[:n]...)
	c.left += len(p) - n
	return len(p), nil
}

func runShell(command string, stdout, stderr io.Writer) error {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	// A child that the command left behind may hold the pipe open.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return fmt.Errorf("the command ended with status %d", exit.ExitCode())
	case errors.As(err, &exit):
		return fmt.Errorf("the command was ended by a signal (%w)", exit)
	case errors.Is(err, exec.ErrWaitDelay):
		return nil
	}
	return err
}

// failed tells that an action did not work.
func (r *Runner) failed(s *site, action string, err error) error {
	return r.tell("%s: ERROR: %s: %s\n", r.where(s), action, err)
}

// wipe is clear and zero.
func (r *Runner) wipe(s *site) error {
	m := s.m
	if m == nil || r.env.Maps == nil {
		return nil
	}
	clearing := s.Kind == compile.SiteClear
	switch {
	case m.Storage == compile.StoreCell, m.Storage == compile.StoreCPUCells:
		return r.wipeCells(m, clearing)
	case m.Sets > 0:
		if err := r.wipeThreads(m, clearing); err != nil {
			return err
		}
	}
	if clearing {
		return r.env.Maps.Clear(m.BPF, &r.table)
	}
	return r.env.Maps.Zero(m.BPF, &r.table)
}

// wipeThreads empties a table by thread, or zeroes the values in it. That is asked for when all probes are off, never before.
func (r *Runner) wipeThreads(m *compile.Map, clearing bool) error {
	table := make([]byte, m.TableSize())
	if !clearing {
		if err := r.env.Maps.ReadAt(compile.Threads, table, m.Offset); err != nil {
			return err
		}
		m.Threads(table, func(_ uint32, value []byte) { clear(value) })
	}
	return r.env.Maps.WriteAt(compile.Threads, table, m.Offset)
}

// wipeCells zeroes the values of a map kept in cells, and with clearing that there are any.
func (r *Runner) wipeCells(m *compile.Map, clearing bool) error {
	slots, stride, size := cells(m)
	value := make([]byte, size)
	for i := range slots {
		at := m.Offset + i*stride
		if !clearing && m.Value.Kind == types.Count {
			// It has no mark while it is not 0.
			if err := r.env.Maps.ReadAt(m.BPF, value, at); err != nil {
				return err
			}
			if word(value, setSize) != 0 {
				value[0] = 1
				if err := r.env.Maps.WriteAt(m.BPF, value[:setSize], at); err != nil {
					return err
				}
			}
			clear(value)
		}
		if clearing {
			if err := r.env.Maps.WriteAt(m.BPF, value[:setSize], at); err != nil {
				return err
			}
		}
		if err := r.env.Maps.WriteAt(m.BPF, value[setSize:], at+setSize); err != nil {
			return err
		}
	}
	return nil
}
