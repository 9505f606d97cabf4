package measure

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStatusBytes(t *testing.T) {
	const status = "Name:\tcat\nVmPeak:\t    8000 kB\nVmHWM:\t    1234 kB\nThreads:\t1\nVmBad:\t12 MB\nVmNeg:\t-1 kB\n"
	for _, test := range []struct {
		key  string
		want int64
		fail string
	}{
		{key: "VmHWM", want: 1234 << 10},
		{key: "VmPeak", want: 8000 << 10},
		{key: "VmSwap", fail: "no field VmSwap"},
		{key: "Name", fail: `Name: want a number of kB, got "cat"`},
		{key: "VmBad", fail: `VmBad: want a number of kB, got "12 MB"`},
		{key: "VmNeg", fail: `VmNeg: want a number of kB, got "-1 kB"`},
	} {
		got, err := statusBytes([]byte(status), test.key)
		if message(err) != test.fail || got != test.want {
			t.Errorf("%s: got %d, %q; want %d, %q", test.key, got, message(err), test.want, test.fail)
		}
	}
}

func TestParseMaps(t *testing.T) {
	const maps = "55d0c0a00000-55d0c0a02000 r--p 00000000 fe:00 1234      /usr/bin/true\n" +
		"55d0c0a02000-55d0c0a06000 r-xp 00002000 fe:00 1234      /usr/bin/true\n" +
		"7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n" +
		"7f411ba5d000-7f411ba9e000 rw-s 00000000 00:10 1038    anon_inode:[perf_event]\n" +
		"7f511ba5d000-7f511ba5e000 r-xp 00000000 00:10 10     /opt/a b/lib c.so (deleted)\n"
	want := []Mapping{
		{Size: 0x2000, Path: "/usr/bin/true"},
		{Size: 0x4000, Exec: true, Path: "/usr/bin/true"},
		{Size: 0x1000},
		{Size: 0x41000, Path: "anon_inode:[perf_event]"},
		{Size: 0x1000, Exec: true, Path: "/opt/a b/lib c.so (deleted)"},
	}
	got, err := parseMaps([]byte(maps))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"nonsense\n", "zz-11 r--p 0 0 0\n", "20-10 r--p 0 0 0\n", "10 r--p 0 0 0\n"} {
		if got, err := parseMaps([]byte(bad)); err == nil {
			t.Errorf("%q: no error, got %v", bad, got)
		}
	}
}

func TestParseFdinfo(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     fdinfo
		fail     string
	}{
		{name: "a file", in: "pos:\t0\nflags:\t02\nmnt_id:\t20\n"},
		{name: "a map", in: "map_type:\t1\nmemlock:\t79904848\nmap_id:\t94\nfrozen:\t0\n", want: fdinfo{mapID: 94, memlock: 79904848}},
		{name: "a program", in: "prog_type:\t5\nmemlock:\t16384\nprog_id:\t166\n", want: fdinfo{programID: 166, memlock: 16384}},
		{name: "a link", in: "link_type:\tperf\nlink_id:\t153\nprog_tag:\taca2263c115d4a1f\nprog_id:\t166\n", want: fdinfo{programID: 166}},
		{name: "no number", in: "map_id:\tx\n", fail: `map_id: want a number, got "x"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseFdinfo([]byte(test.in))
			if message(err) != test.fail {
				t.Fatalf("error %q, want %q", message(err), test.fail)
			}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// The three readers must work on a live process; the test's own is at hand.
func TestOwnProcess(t *testing.T) {
	before, err := CPUTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for i, sum := 0, 0; i < 50_000_000; i++ {
		sum += i
	}
	after, err := CPUTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after <= before {
		t.Errorf("CPU time did not grow: %v, then %v", before, after)
	}
	if peak, err := PeakRSS(os.Getpid()); err != nil || peak < 1<<20 {
		t.Errorf("peak RSS %d, %v", peak, err)
	}
	files, err := CodeFiles(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if files[self] == 0 {
		t.Errorf("the program itself is not among its code files: %v", files)
	}
	if pinned, err := PinnedMemory(os.Getpid()); err != nil || pinned.Total() != 0 {
		t.Errorf("a process without BPF objects pins %+v, %v", pinned, err)
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
