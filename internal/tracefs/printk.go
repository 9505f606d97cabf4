package tracefs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sonde/internal/kernel"
)

// The event by which the kernel tells what BPF programs print (5.9 and later).
const (
	printkGroup = "bpf_trace"
	printkEvent = "bpf_trace_printk"
	printkText  = "bpf_string"
)

// Printk reads what BPF programs print by bpf_printk, whoever's programs they are, from an instance of its own. It belongs to
// one goroutine.
type Printk struct {
	root    root
	in      *Instance
	remover *Remover
	bufs    *Buffers
	id      uint16
	pid     kernel.TracepointField
	text    kernel.TracepointField
	lines   []Line
	odd     uint64
}

// Line is one text that a program printed. Text is gone when the function that it is given to returns.
type Line struct {
	CPU  uint16
	Time uint64 // CLOCK_MONOTONIC, nanoseconds
	PID  uint32 // of the thread in which the program ran, by the host's count
	Text []byte
}

// OpenPrintk begins to record. The caller must Close it.
func OpenPrintk(bytesPerCPU int) (*Printk, error) {
	p := &Printk{}
	if err := p.open(bytesPerCPU); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Printk) open(bytesPerCPU int) error {
	var err error
	if p.root, err = findRoot(); err != nil {
		return err
	}
	dir := p.root.dir
	text, err := os.ReadFile(filepath.Join(dir, "events", printkGroup, printkEvent, "format"))
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("this kernel does not tell of what programs print (no event bpf_trace:bpf_trace_printk)")
	}
	if err != nil {
		return fmt.Errorf("tracefs: %w", err)
	}
	format, err := kernel.ParseFormat(printkGroup, string(text))
	if err != nil {
		return err
	}
	p.id = uint16(format.ID)
	for _, f := range format.Fields {
		switch f.Name {
		case "common_pid":
			p.pid = f
		case printkText:
			p.text = f
		}
	}
	if p.pid.Size != 4 || p.text.Size != 4 || !p.text.DataLoc {
		return fmt.Errorf("event %s: not what is known of it", printkEvent)
	}
	name, err := NewName("printk")
	if err != nil {
		return err
	}
	// First the one who takes it away, then what is to be taken away.
	if p.remover, err = startRemover(p.root, name); err != nil {
		return err
	}
	if p.in, err = MakeInstance(dir, name); err != nil {
		return err
	}
	sub, err := p.in.Configure(bytesPerCPU)
	if err != nil {
		return err
	}
	if p.bufs, err = OpenBuffers(p.in, sub); err != nil {
		return err
	}
	if err := p.in.Set("1", "events", printkGroup, printkEvent, "enable"); err != nil {
		return err
	}
	return p.in.Set("1", "tracing_on")
}

// Read hands over what was printed since the last time, in the order of its times.
func (p *Printk) Read(now uint64, each func(Line) error) (n int, err error) {
	p.lines = p.lines[:0]
	if _, err := p.bufs.Drain(now, func(cpu uint16, time uint64, data []byte) {
		line, ok := p.decode(data)
		if !ok {
			p.odd++
			return
		}
		line.CPU, line.Time, line.Text = cpu, time, slices.Clone(line.Text)
		p.lines = append(p.lines, line)
	}); err != nil {
		return 0, err
	}
	slices.SortStableFunc(p.lines, func(a, b Line) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	for _, l := range p.lines {
		if err := each(l); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// decode takes the event apart. The text ends with its NUL, where it has one.
func (p *Printk) decode(data []byte) (l Line, ok bool) {
	le := binary.NativeEndian
	if len(data) < 2 || le.Uint16(data) != p.id || p.pid.Offset+4 > len(data) || p.text.Offset+4 > len(data) {
		return l, false
	}
	l.PID = le.Uint32(data[p.pid.Offset:])
	where := le.Uint32(data[p.text.Offset:])
	from, size := int(where&0xffff), int(where>>16)
	if from+size > len(data) {
		return l, false
	}
	l.Text = data[from : from+size]
	if i := slices.Index(l.Text, 0); i >= 0 {
		l.Text = l.Text[:i]
	}
	return l, true
}

// Lost is how many texts found no room, and those that could not be read.
func (p *Printk) Lost() (uint64, error) {
	n, err := p.bufs.Lost()
	return n + p.odd, err
}

// Close ends the recording and takes the instance away.
func (p *Printk) Close() error {
	if p.bufs != nil {
		p.bufs.Close()
		p.bufs = nil
	}
	defer p.root.close()
	if p.remover == nil {
		return nil
	}
	err := p.remover.Done()
	p.remover = nil
	return err
}
