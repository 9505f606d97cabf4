package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
	"github.com/google/go-cmp/cmp"

	"sonde/internal/kernel"
	"sonde/internal/prog"
	"sonde/internal/vmtest"
)

// rig is a real ring with counters, and a program that writes records into it when the test runs it. Nothing is
// attached.
type rig struct {
	t                testing.TB
	ring, counters   *ebpf.Map
	writer           *ebpf.Program
	perRun, bodySize int
}

// newRig makes a writer of perRun records for each run, with a body of so many 8-byte words: seq, seq+1, ...
// Before each of them it reserves and discards another.
func newRig(t testing.TB, size uint32, perRun, words int) *rig {
	t.Helper()
	vmtest.Need(t, kernel.RingBuffer, kernel.RawTracepoint)
	if err := rlimit.RemoveMemlock(); err != nil { // before 5.11
		t.Fatal(err)
	}
	ring, err := ebpf.NewMap(&ebpf.MapSpec{Name: "ring", Type: ebpf.RingBuf, MaxEntries: size})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	counters, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "counters", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8 * (1 + lostReasons), MaxEntries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { counters.Close() })
	total := int32(HeaderSize + 8*words)
	code := asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, counters.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "exit"),
		asm.Mov.Reg(asm.R8, asm.R0),
		asm.Mov.Imm(asm.R7, int32(perRun)),

		asm.LoadMapPtr(asm.R1, ring.FD()).WithSymbol("loop"),
		asm.Mov.Imm(asm.R2, 16),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRingbufReserve.Call(),
		asm.JEq.Imm(asm.R0, 0, "real"),
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRingbufDiscard.Call(),

		asm.LoadMem(asm.R1, asm.R8, 0, asm.DWord).WithSymbol("real"),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R8, 0, asm.R1, asm.DWord),
		asm.LoadMapPtr(asm.R1, ring.FD()),
		asm.Mov.Imm(asm.R2, total),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRingbufReserve.Call(),
		asm.JNE.Imm(asm.R0, 0, "fill"),
		asm.LoadMem(asm.R1, asm.R8, 8, asm.DWord),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R8, 8, asm.R1, asm.DWord),
		asm.Ja.Label("next"),

		asm.Mov.Reg(asm.R9, asm.R0).WithSymbol("fill"),
		asm.StoreImm(asm.R9, 0, 7, asm.Half),
		asm.StoreImm(asm.R9, 4, int64(total), asm.Word),
		asm.FnGetSmpProcessorId.Call(),
		asm.StoreMem(asm.R9, 2, asm.R0, asm.Half),
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(asm.R9, 16, asm.R0, asm.DWord),
		asm.LoadMem(asm.R1, asm.R8, 0, asm.DWord),
		asm.StoreMem(asm.R9, 8, asm.R1, asm.DWord),
	}
	for i := range words {
		code = append(code, asm.StoreMem(asm.R9, int16(HeaderSize+8*i), asm.R1, asm.DWord), asm.Add.Imm(asm.R1, 1))
	}
	code = append(code,
		asm.Mov.Reg(asm.R1, asm.R9),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRingbufSubmit.Call(),
		asm.Add.Imm(asm.R7, -1).WithSymbol("next"),
		asm.JNE.Imm(asm.R7, 0, "loop"),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("exit"),
		asm.Return(),
	)
	writer, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.RawTracepoint, Instructions: code, License: "GPL"})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { writer.Close() })
	return &rig{t, ring, counters, writer, perRun, 8 * words}
}

// write runs the writer on that CPU, or where we are if it is negative.
func (r *rig) write(cpu int) {
	opts := ebpf.RunOptions{}
	if cpu >= 0 {
		const runOnCPU = 1 // BPF_F_TEST_RUN_ON_CPU
		opts.Flags, opts.CPU = runOnCPU, uint32(cpu)
	}
	if _, err := r.writer.Run(&opts); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) reader() *Reader {
	r.t.Helper()
	reader, err := NewReader(r.ring)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { reader.Close() })
	return reader
}

func (r *rig) tally() Tally {
	r.t.Helper()
	c, err := NewCounters(r.counters, []string{"ring full"})
	if err != nil {
		r.t.Fatal(err)
	}
	tally, err := c.Read()
	if err != nil {
		r.t.Fatal(err)
	}
	return tally
}

// check is what every record of the rig must look like.
func (r *rig) check(rec prog.Record) error {
	if rec.Type != 7 || len(rec.Body) != r.bodySize {
		return fmt.Errorf("type %d, body of %d bytes", rec.Type, len(rec.Body))
	}
	for i := 0; i < r.bodySize; i += 8 {
		if got, want := binary.NativeEndian.Uint64(rec.Body[i:]), rec.Seq+uint64(i/8); got != want {
			return fmt.Errorf("record %d damaged at %d: %d, want %d", rec.Seq, i, got, want)
		}
	}
	return nil
}

// Everything arrives in order and undamaged, many laps long, with bodies that cross the end of the ring.
func TestKernelOrder(t *testing.T) {
	for _, words := range []int{0, 1, 5, 33} {
		t.Run(fmt.Sprintf("%d bytes", 8*words), func(t *testing.T) {
			const records = 2000
			r := newRig(t, uint32(os.Getpagesize()), 4, words)
			reader := r.reader()
			tally := r.tally()
			seq := NewSequence(len(tally.CPUs))
			last := make([]uint64, len(tally.CPUs))
			var lastTime uint64
			handle := func(rec prog.Record) error {
				if rec.Seq != last[rec.CPU]+1 || rec.Time < lastTime {
					return fmt.Errorf("record %d of CPU %d after %d, time %d after %d", rec.Seq, rec.CPU, last[rec.CPU], rec.Time, lastTime)
				}
				last[rec.CPU], lastTime = rec.Seq, rec.Time
				seq.Add(rec.CPU, rec.Seq)
				return r.check(rec)
			}
			total := 0
			for i := 0; i < records/4; i++ {
				r.write(i % min(2, runtime.NumCPU()))
				if used, size := reader.Pending(); used == 0 || size != os.Getpagesize() {
					t.Errorf("%d of %d bytes pending after a write", used, size)
				}
				if i%3 != 0 {
					continue
				}
				n, err := reader.Drain(handle)
				if err != nil {
					t.Fatal(err)
				}
				if used, _ := reader.Pending(); used != 0 || reader.Busy() {
					t.Errorf("%d bytes pending, busy %v", used, reader.Busy())
				}
				total += n
			}
			n, err := reader.Drain(handle)
			if err != nil {
				t.Fatal(err)
			}
			v := seq.Verdict(r.tally())
			if total+n != records || !v.Complete() || !v.Consistent() || reader.Malformed() != 0 {
				t.Errorf("%d of %d records, %+v, malformed %d", total+n, records, v, reader.Malformed())
			}
		})
	}
}

// A full ring loses records; how many is known exactly, and both proofs agree.
func TestKernelFull(t *testing.T) {
	r := newRig(t, uint32(os.Getpagesize()), 50, 5)
	reader := r.reader()
	seq := NewSequence(len(r.tally().CPUs))
	written, arrived := 0, 0
	for round := range 4 {
		for range 3 + round {
			r.write(round % min(2, runtime.NumCPU()))
			written += 50
		}
		n, err := reader.Drain(func(rec prog.Record) error {
			seq.Add(rec.CPU, rec.Seq)
			return r.check(rec)
		})
		if err != nil {
			t.Fatal(err)
		}
		arrived += n
	}
	tally := r.tally()
	want := []prog.Count{{Reason: "ring full", N: uint64(written - arrived)}}
	if diff := cmp.Diff(want, tally.Lost); diff != "" || written == arrived {
		t.Error(diff)
	}
	v := seq.Verdict(tally)
	if v.Missing != uint64(written-arrived) || !v.Consistent() || v.Complete() {
		t.Errorf("%d written, %d arrived: %+v", written, arrived, v)
	}
	if text := fmt.Sprintf("%d missing", written-arrived); v.String() != text {
		t.Errorf("%q, want %q", v, text)
	}
}

// waits is a handler that reports every record.
type waits struct {
	*rig
	got     chan struct{}
	records int
}

func (w *waits) Before(uint64) error { return nil }
func (w *waits) Holding() bool       { return false }
func (w *waits) Record(rec prog.Record) error {
	w.records++
	if err := w.check(rec); err != nil {
		return err
	}
	w.got <- struct{}{}
	return nil
}
func (w *waits) Drained(uint64, bool) error { return nil }

// Each record wakes a Run that blocks, whether it blocks already or is just about to; a wake-up that is lost shows as
// a test that does not end.
func TestKernelWakes(t *testing.T) {
	for _, procs := range []int{1, 2} {
		t.Run(fmt.Sprintf("GOMAXPROCS=%d", procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			r := newRig(t, uint32(os.Getpagesize()), 1, 2)
			w := &waits{rig: r, got: make(chan struct{}, 1)}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			reader := r.reader()
			go func() { done <- Run(ctx, reader, w) }()
			const rounds = 100
			for i := range rounds {
				r.write(i % min(2, runtime.NumCPU()))
				select {
				case <-w.got:
				case err := <-done:
					t.Fatalf("Run ended: %v", err)
				}
				// The next record comes while it naps, when it is about to block, or when it has blocked for a while.
				time.Sleep([]time.Duration{0, 0, time.Millisecond, 1100 * time.Microsecond, 25 * time.Millisecond}[i%5])
			}
			cancel()
			if err := <-done; err != nil || w.records != rounds {
				t.Errorf("%v, %d records", err, w.records)
			}
		})
	}
}

func TestKernelReaderLife(t *testing.T) {
	r := newRig(t, uint32(os.Getpagesize()), 1, 1)
	r.write(-1)
	reader := r.reader()
	r.ring.Close() // the reader has its own descriptor
	if err := reader.Wait(-1); err != nil {
		t.Error(err) // there is a record: must not block
	}
	if n, err := reader.Drain(r.check); n != 1 || err != nil {
		t.Errorf("%d, %v: a record from before the reader", n, err)
	}
	reader.Wake() // remembered
	reader.Wake()
	if err := reader.Wait(-1); err != nil {
		t.Error(err)
	}
	if err := reader.Wait(0); err != nil {
		t.Error(err)
	}
	if n := testing.AllocsPerRun(50, func() {
		reader.Wake()
		_ = reader.Wait(-1)
		_ = reader.Wait(time.Microsecond)
		_ = reader.Nap(time.Microsecond)
		_, _ = reader.Drain(r.check)
		reader.Pending()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	if err := reader.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	reader.Wake()
	if _, err := reader.Drain(r.check); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Drain after Close: %v", err)
	}
	if err := reader.Wait(-1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Wait after Close: %v", err)
	}
	if used, size := reader.Pending(); used != 0 || size != 0 {
		t.Errorf("Pending after Close: %d, %d", used, size)
	}
}

func TestKernelWrongMaps(t *testing.T) {
	r := newRig(t, uint32(os.Getpagesize()), 1, 1)
	if _, err := NewReader(r.counters); err == nil {
		t.Error("a reader of an array")
	}
	if _, err := NewCounters(r.ring, nil); err == nil {
		t.Error("counters in a ring")
	}
	if _, err := NewCounters(r.counters, make([]string, lostReasons+1)); err == nil {
		t.Error("too many reasons")
	}
}
