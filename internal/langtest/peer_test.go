package langtest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sonde/internal/bench/peers"
	"sonde/internal/vmtest"
)

// peerScript runs bpftrace in its root, $1.
const peerScript = `R=$1; shift
mount -t proc proc $R/proc && mount --rbind /sys $R/sys && mount --rbind /dev $R/dev || exit 125
mount -t tracefs tracefs $R/sys/kernel/tracing 2>/dev/null
exec chroot $R bpftrace "$@"`

// peerRoot is where bpftrace is: the newest of the roots that the benchmark makes.
func peerRoot(t *testing.T) string {
	t.Helper()
	root(t)
	cache, err := peers.CacheDir()
	if err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(cache, "peers", peers.Newest.Name)
	switch _, err := os.Stat(filepath.Join(dir, "usr/bin/bpftrace")); {
	case testing.Short():
		t.Skip("bpftrace is not asked with -short")
	case vmtest.Guest() != "":
		t.Skip("bpftrace is asked on the machine itself")
	case err != nil:
		t.Skipf("no bpftrace to compare with: `make bench` makes its root: %v", err)
	}
	return dir
}

// peerEnv is the variable that has bpftrace asked about every row, which takes minutes.
const peerEnv = "SONDE_PEER"

// sample is of how many rows one is asked about without that.
const sample = 25

// bpftrace gives what a row says, but where the row gives a reason.
func TestPeerSemantics(t *testing.T) {
	dir := peerRoot(t)
	n := 0
	eachRow(t, func(t *testing.T, r *row) {
		if r.cpus > 0 || r.differs != "" && r.peer == "" {
			return
		}
		if n++; n%sample != 0 && os.Getenv(peerEnv) != "all" {
			return
		}
		t.Parallel()
		out, status := ask(t, dir, r)
		switch {
		case r.refused != "":
			if status == 0 {
				t.Errorf("bpftrace takes it and prints %q", out)
			}
			return
		case r.peer != "":
			if got := strings.TrimRight(out, "\n"); got != r.peer {
				t.Errorf("%s:\ngot  %q\nwant %q", r.differs, got, r.peer)
			}
			return
		}
		end := "\n\n"
		if r.json {
			end = ""
		}
		last := r.maps
		if last != "" {
			last += "\n"
		}
		if out != r.want+end+last && out != r.want+"\n"+end+last {
			t.Errorf("bpftrace prints\n%q, want\n%q and\n%q", out, r.want, r.maps)
		}
		if status != r.code {
			t.Errorf("status %d, want %d", status, r.code)
		}
	})
}

// ask runs a row with bpftrace.
func ask(t *testing.T, dir string, r *row) (out string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	args := []string{"-m", "sh", "-c", peerScript, "sh", dir, "-q", "-e", r.text()}
	for on, flag := range map[*bool]string{&r.warnings: "-k", &r.unsafe: "--unsafe", &r.silent: "--no-warnings"} {
		if *on {
			args = append(args, flag)
		}
	}
	if r.json {
		args = append(args, "-f", "json")
	}
	args = append(args, "--")
	args = append(args, r.params...)
	for name, value := range r.named {
		args = append(args, "--"+name+"="+value)
	}
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	for key, value := range r.settings {
		cmd.Env = append(cmd.Env, "BPFTRACE_"+strings.ToUpper(key)+"="+value)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	t.Logf("%s", stderr.String())
	return stdout.String(), cmd.ProcessState.ExitCode()
}
