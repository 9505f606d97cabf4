package stream

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"sonde/internal/kernel"
	"sonde/internal/vmtest"
)

func newMap(t testing.TB, spec *ebpf.MapSpec) *ebpf.Map {
	t.Helper()
	vmtest.Need(t, kernel.RingBuffer) // anything that needs the privilege
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.NewMap(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// fill puts entries i -> 3i in, on every CPU the number of which is added.
func fill(t testing.TB, m *ebpf.Map, n int) {
	t.Helper()
	cpus := ebpf.MustPossibleCPU()
	for i := range n {
		key := make([]byte, m.KeySize())
		binary.LittleEndian.PutUint32(key, uint32(i))
		var err error
		if m.Type() == ebpf.PerCPUHash {
			values := make([]uint32, cpus)
			for cpu := range values {
				values[cpu] = uint32(3*i + cpu)
			}
			err = m.Put(key, values)
		} else {
			err = m.Put(key, uint32(3*i))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Both ways of reading give every entry once, with the values of all CPUs.
func TestKernelTable(t *testing.T) {
	for _, kind := range []ebpf.MapType{ebpf.Hash, ebpf.LRUHash, ebpf.PerCPUHash} {
		for _, n := range []int{0, 1, 3000} {
			m := newMap(t, &ebpf.MapSpec{Type: kind, KeySize: 12, ValueSize: 4, MaxEntries: 6000})
			fill(t, m, n)
			var table Table
			ways := map[string]func() error{
				"Read":        func() error { return table.Read(m) },
				"readBatches": func() error { return table.readBatches(m) },
				"walk":        func() error { return table.walk(m) },
			}
			for name, read := range ways {
				if err := table.shape(m); err != nil {
					t.Fatal(err)
				}
				if err := read(); err != nil {
					t.Fatalf("%v, %d entries, %s: %v", kind, n, name, err)
				}
				check(t, &table, n)
			}
		}
	}
}

func check(t *testing.T, table *Table, n int) {
	t.Helper()
	if table.N != n || len(table.Keys) != n*table.KeySize || len(table.Values) != n*table.ValueSize*table.CPUs {
		t.Fatalf("%d entries with %d bytes of keys and %d of values, want %d", table.N, len(table.Keys), len(table.Values), n)
	}
	seen := make([]bool, n)
	for i := range n {
		k := int(binary.LittleEndian.Uint32(table.Key(i)))
		if k >= n || seen[k] {
			t.Fatalf("key %d is not one that was put in, or comes twice", k)
		}
		seen[k] = true
		for cpu := range table.CPUs {
			if v := int(binary.LittleEndian.Uint32(table.Value(i)[cpu*table.ValueSize:])); v != 3*k+cpu {
				t.Fatalf("value of key %d on CPU %d: %d", k, cpu, v)
			}
		}
	}
}

// A bucket that holds more than a batch is not the end.
func TestKernelTableBigBucket(t *testing.T) {
	// One value is more than what is asked for at once, so that batches begin with 16 entries; 64 buckets hold 1024.
	m := newMap(t, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 100 << 10, MaxEntries: 64, Flags: 1})
	value := make([]byte, 100<<10)
	for i := range uint32(64) {
		if err := m.Put(i, value); err != nil {
			t.Fatal(err)
		}
	}
	var table Table
	if err := table.Read(m); err != nil || table.N != 64 {
		t.Fatalf("%d entries, %v", table.N, err)
	}
}

func TestKernelMapsClearAndZero(t *testing.T) {
	hash := newMap(t, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 100})
	percpu := newMap(t, &ebpf.MapSpec{Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 4, MaxEntries: 100})
	maps := NewMaps(func(name string) *ebpf.Map {
		return map[string]*ebpf.Map{"hash": hash, "percpu": percpu}[name]
	})
	for _, name := range []string{"hash", "percpu"} {
		m, _ := maps.get(name)
		fill(t, m, 50)
		var table Table
		if err := maps.Zero(name, &table); err != nil {
			t.Fatal(err)
		}
		if err := maps.Read(name, &table); err != nil || table.N != 50 || slices.Max(table.Values) != 0 {
			t.Errorf("%s: after zeroing %d entries, %v", name, table.N, err)
		}
		// Entries that have gone are neither brought back by zeroing nor in the way of clearing.
		for _, gone := range []uint32{0, 7, 49} {
			if err := m.Delete(gone); err != nil {
				t.Fatal(err)
			}
		}
		if err := table.Zero(m); err != nil {
			t.Fatal(err)
		}
		if err := table.Delete(m); err != nil {
			t.Fatal(err)
		}
		if err := maps.Read(name, &table); err != nil || table.N != 0 {
			t.Errorf("%s: after clearing %d entries, %v", name, table.N, err)
		}
		fill(t, m, 50)
		if err := maps.Clear(name, &table); err != nil {
			t.Fatal(err)
		}
		if err := maps.Read(name, &table); err != nil || table.N != 0 {
			t.Errorf("%s: after Clear %d entries, %v", name, table.N, err)
		}
	}
	if err := maps.Read("other", new(Table)); err == nil {
		t.Error("a map that is not there was read")
	}
}

func TestKernelMapsMemory(t *testing.T) {
	cells := newMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 128, MaxEntries: 1, Flags: 1 << 10})
	maps := NewMaps(func(string) *ebpf.Map { return cells })
	if err := maps.WriteAt("cells", []byte{1, 2, 3}, 64); err != nil {
		t.Fatal(err)
	}
	var value []byte
	if err := cells.Lookup(uint32(0), &value); err != nil || value[65] != 2 {
		t.Errorf("what was written is not in the map: %v", err)
	}
	got := make([]byte, 4)
	if err := maps.ReadAt("cells", got, 63); err != nil || !slices.Equal(got, []byte{0, 1, 2, 3}) {
		t.Errorf("read %v, %v", got, err)
	}
	for _, off := range []int{-1, 126, 1 << 40} {
		if maps.ReadAt("cells", got, off) == nil || maps.WriteAt("cells", got, off) == nil {
			t.Errorf("offset %d was taken", off)
		}
	}
}

func BenchmarkTable(b *testing.B) {
	m := newMap(b, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 16, ValueSize: 4, MaxEntries: 100000})
	fill(b, m, 100000)
	var table Table
	for name, read := range map[string]func() error{"batches": func() error { return table.Read(m) }, "walk": func() error { table.clear(); return table.walk(m) }} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := read(); err != nil || table.N != 100000 {
					b.Fatal(table.N, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100000, "ns/entry")
		})
	}
}
