package kernel

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// waysOfTypes are the ways to come by types for relocating the object of the tests.
var waysOfTypes = map[string]func(testing.TB, *ebpf.CollectionSpec) *btf.Spec{
	"reduced": func(t testing.TB, object *ebpf.CollectionSpec) *btf.Spec {
		spec, err := TypesFor(object)
		if err != nil {
			t.Fatal(err)
		}
		return spec
	},
	"pieces": func(t testing.TB, object *ebpf.CollectionSpec) *btf.Spec { // as before 6.15
		file, err := os.Open(vmlinuxBTF)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		wanted, err := wantedBy([]*ebpf.CollectionSpec{object})
		if err != nil {
			t.Fatal(err)
		}
		spec, err := reducedSpec(fileBTF(file, int(info.Size())), wanted)
		if err != nil {
			t.Fatal(err)
		}
		return spec
	},
	"full": func(t testing.TB, _ *ebpf.CollectionSpec) *btf.Spec {
		spec, err := btf.LoadKernelSpec()
		if err != nil {
			t.Fatal(err)
		}
		return spec
	},
	"none": func(testing.TB, *ebpf.CollectionSpec) *btf.Spec { return nil },
}

var waysInOrder = []string{"reduced", "pieces", "full"}

// BenchmarkTypes finds types and relocates against them, which is what a start pays for. The full types are decoded as they
// are asked for, so finding them is only part of their price.
func BenchmarkTypes(b *testing.B) {
	needBTF(b)
	object := loadObject(b, "core.bpf.o")
	for _, way := range waysInOrder {
		b.Run(way+"/find", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				waysOfTypes[way](b, object)
			}
		})
		b.Run(way+"/relocate", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				relocateAll(b, object, waysOfTypes[way](b, object))
			}
		})
	}
}

func relocateAll(t testing.TB, object *ebpf.CollectionSpec, types *btf.Spec) {
	localID := func(btf.Type) (btf.TypeID, error) { return 1, nil }
	for _, prog := range object.Programs {
		var relos []*btf.CORERelocation
		for i := range prog.Instructions {
			if relo := btf.CORERelocationMetadata(&prog.Instructions[i]); relo != nil {
				relos = append(relos, relo)
			}
		}
		if _, err := btf.CORERelocate(relos, []*btf.Spec{types}, prog.ByteOrder, localID); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkTypesCold does it once in a process of its own and reports the peak memory and the CPU time that the process takes
// beyond one that only reads the object.
func BenchmarkTypesCold(b *testing.B) {
	needBTF(b)
	cost := func(way string) (peak, cpu float64) {
		cmd := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkTypesOnce$", "-test.benchtime=1x")
		cmd.Env = append(os.Environ(), "SONDE_TYPES_ONCE="+way)
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		_, rest, _ := strings.Cut(string(out), "types-once ")
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			b.Fatalf("no figures in %q", out)
		}
		peak, _ = strconv.ParseFloat(fields[0], 64)
		cpu, _ = strconv.ParseFloat(fields[1], 64)
		return peak, cpu
	}
	for _, way := range waysInOrder {
		b.Run(way, func(b *testing.B) {
			var peak, cpu float64
			n := 0.0
			for b.Loop() {
				p0, c0 := cost("none")
				p1, c1 := cost(way)
				peak, cpu, n = peak+p1-p0, cpu+c1-c0, n+1
			}
			b.ReportMetric(peak/n, "peak-KiB")
			b.ReportMetric(cpu/n, "cpu-µs")
			b.ReportMetric(0, "ns/op")
		})
	}
}

var typesOnce sync.Once

// BenchmarkTypesOnce is the process that BenchmarkTypesCold starts; it does nothing otherwise.
func BenchmarkTypesOnce(b *testing.B) {
	way := os.Getenv("SONDE_TYPES_ONCE")
	if way == "" {
		b.Skip("only for BenchmarkTypesCold")
	}
	typesOnce.Do(func() { findOnce(b, way) })
}

func findOnce(t testing.TB, way string) {
	object := loadObject(t, "core.bpf.o")
	before := cpuMicros()
	if types := waysOfTypes[way](t, object); types != nil {
		relocateAll(t, object, types)
		runtime.KeepAlive(types)
	}
	fmt.Printf("types-once %d %d\n", peakKiB(t), cpuMicros()-before)
}

func cpuMicros() int64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return (usage.Utime.Nano() + usage.Stime.Nano()) / 1000
}

// peakKiB reads VmHWM, which, unlike ru_maxrss, an exec starts anew.
func peakKiB(t testing.TB) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib
}
