//go:build guest

package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// clock is how the tools write the time of day.
const clock = `\d\d:\d\d:\d\d(\.\d+)? +`

// ioStart and ioDone are the functions that older scripts know block I/O by; later kernels have one of each, or none.
const (
	ioStart = "kprobe:blk_account_io_start|kprobe:__blk_account_io_start"
	ioDone  = "kprobe:blk_account_io_done|kprobe:__blk_account_io_done"
)

// histogram is a line of one.
const histogram = `^\[\d+\w?(, \d+\w?\))?\]? +\d+ \|@*`

// corpus has the tools by name; SUITE/NAME is before NAME. A tool that is not here has nothing to show.
var corpus = map[string]tool{
	"bashreadline":        {wants: []string{`^` + clock + `\d+ +ls -l$`}},
	"bookworm/biolatency": {needs: []string{ioStart, ioDone}, wants: []string{`^@usecs:$`, histogram}},
	"biolatency":          {wants: []string{`^@usecs:$`, histogram}},
	"biolatency-kp":       {spares: []string{ioStart, ioDone}, wants: []string{`^@usecs:$`, histogram}},
	"bookworm/biosnoop": {
		needs: []string{ioStart, ioDone, "field:request_queue:disk"},
		wants: []string{`^\d+ +vda +\S+ +\d+ +\d+$`},
	},
	"biosnoop": {
		needs: []string{"tracepoint:block:block_io_start", "tracepoint:block:block_io_done"},
		wants: []string{`^\d+ +25\d +0 +\S+ +\d+ +\d+$`},
	},
	"bookworm/biostacks": {
		needs: []string{ioStart},
		wants: []string{`^@usecs\[\n( +\w+\+\d+\n)+\]:$`},
	},
	"biostacks": {
		needs: []string{"tracepoint:block:block_io_start"},
		wants: []string{`^@usecs\[\n( +\w+\+\d+\n)+\]:$`},
	},
	"bitesize": {wants: []string{`^@\[[^\]]+\]:$`, histogram}},
	"capable":  {wants: []string{`^` + clock + `\d+ +\d+ +\S+ +\d+ +CAP_\w+ +\d+$`}},
	"cpuwalk":  {wants: []string{`^@cpu:$`, `^\[[01]\] +\d+ \|@+ *\|$`}},
	"dcsnoop":  {needs: []string{"kprobe:lookup_fast|kprobe:lookup_fast.constprop.*"}, wants: []string{`^\d+ +\d+ +\S+ +[RM] \S+$`}},
	"execsnoop": {wants: []string{
		`^(` + clock + `)?\d+ +(\d+ +)?/bin/true an argument another$`,
	}},
	"gethostlatency":   {wants: []string{`^` + clock + `\d+ +libc.so.6 +\d+ a\.example$`}},
	"killsnoop":        {wants: []string{`^` + clock + `\d+ +cli.test +\S+ +\d+ +0$`}},
	"loads":            {seconds: 1, live: true, wants: []string{`^` + clock + `load averages: \d+\.\d{3} \d+\.\d{3} \d+\.\d{3}$`}},
	"mdflush":          {needs: []string{"kprobe:md_flush_request", "field:bio:bi_bdev"}},
	"naptime":          {wants: []string{`^` + clock + `\d+ +\S+ +\d+ +cli.test +0\.002$`}},
	"oomkill":          {work: outOfMemory, live: true, wants: []string{`Triggered by PID \d+ \("\S+"\), (CGROUP \d+ \("\S*/oom"\), )?OOM kill of PID \d+ \("role-eat"\), \d+ pages, loadavg: \d+\.\d+`}},
	"opensnoop":        {wants: []string{`^\d+ +cli.test +\d+ +0 /etc/passwd$`, `^\d+ +cli.test +-1 +2 /nonexistent/file$`}},
	"pidpersec":        {seconds: 2, live: true, wants: []string{`^` + clock + `PIDs/sec: @: \d+$`}},
	"runqlat":          {wants: []string{`^@usecs:$`, histogram}},
	"bookworm/runqlen": {needs: []string{"field:cfs_rq:nr_running"}, wants: []string{`^@runqlen:$`, `^\[0\] +\d+ \|@+`}},
	"runqlen":          {needs: []string{"field:cfs_rq:nr_queued"}, wants: []string{`^@runqlen:$`, `^\[0\] +\d+ \|@+`}},
	"setuids": {wants: []string{
		`^` + clock + `\d+ +cli.test +0 +setfsuid +uid=1 \(prevuid=0\)$`, `^` + clock + `\d+ +cli.test +0 +setresuid ruid=65534 euid=65534 suid=65534 \(0\)$`,
		`^` + clock + `\d+ +cli.test +65534 +setuid +uid=65534 \(0\)$`,
	}},
	"ssllatency":      {wants: []string{`^@hist\[SSL_read\]:$`, `^@histF\[SSL_do_handshake\]:$`, `^@hist\[RSA_sign\]:$`, `^@stat\[SSL_read\]: { \.count = \d+, \.average = \d+, \.total = \d+ }$`}},
	"sslsnoop":        {wants: []string{`^\d+ +\d+ +libssl\S+ +\d+ +17 SSL_read$`, `^\d+ +\d+ +libcrypt\S+ +\d+ +51 RSA_sign$`}},
	"statsnoop":       {wants: []string{`^\d+ +cli.test +0 /tmp/toil\d+/file$`, `^\d+ +cli.test +0 /tmp/toil\d+$`}},
	"bookworm/swapin": {needs: []string{"kprobe:swap_readpage"}},
	"swapin":          {needs: []string{"kprobe:swap_readpage|kprobe:swap_read_folio"}},
	"syncsnoop": {wants: []string{
		`^` + clock + `\d+ +cli.test +tracepoint:syscalls:sys_enter_sync$`, `:sys_enter_syncfs$`, `:sys_enter_fsync$`, `:sys_enter_fdatasync$`,
		`:sys_enter_sync_file_range$`, `:sys_enter_msync$`,
	}},
	"bookworm/syscount": {wants: []string{`^Top 10 syscalls IDs:\n@syscall\[\d+\]: \d+\n`, `^Top 10 processes:\n@process\[.+\]: \d+\n`}},
	"syscount":          {wants: []string{`^Top 10 syscalls`, `^Top 10 processes:\n@process\[.+\]: \d+\n`}},
	"tcpaccept":         {wants: []string{`^` + clock + `\d+ +cli.test +127\.0\.0\.1 +\d+ +127\.0\.0\.1 +\d+ +\d+/\d+$`, `^` + clock + `\d+ +cli.test +::1 +\d+ +::1 +\d+ +\d+/\d+$`}},
	"tcpconnect":        {wants: []string{`^` + clock + `\d+ +cli.test +127\.0\.0\.1 +\d+ +127\.0\.0\.1 +\d+ *$`, `^` + clock + `\d+ +cli.test +::1 +\d+ +::1 +\d+ *$`}, warns: innerBlock},
	// Kernels that do not know that reason free the packets of our resets without telling.
	"tcpdrop":         {needs: []string{"argument:skb:kfree_skb:reason"}, shows: "constant:skb_drop_reason:SKB_CONSUMED", wants: []string{`127\.0\.0\.1:\d+ +127\.0\.0\.1:\d+ +\w+\s*\n`}, warns: innerBlock},
	"tcplife":         {wants: []string{`^\d+ +cli.test +127\.0\.0\.1 +\d+ +127\.0\.0\.1 +\d+ +0 +0 \d+$`, `^\d+ +cli.test +::1 +\d+ +::1 +\d+ +0 +0 \d+$`}},
	"tcpretrans":      {work: unanswered, live: true, wants: []string{`^` + clock + `\d+ +127\.0\.0\.1:\d+ +127\.0\.0\.1:\d+ +SYN_SENT$`}},
	"tcpsynbl":        {wants: []string{`^@backlog\[\d+\]:$`, histogram}},
	"threadsnoop":     {wants: []string{`^\S+ +\d+ +libpthread.so.0 +pthread_create$`}},
	"bookworm/undump": {needs: []string{"kprobe:unix_stream_read_actor"}, wants: []string{`^` + clock + `\S+ +\d+ +14 +a unix message$`}},
	"undump":          {wants: []string{`^` + clock + `\S+ +\d+ +14 +a unix message$`}},
	"vfscount":        {wants: []string{`^@\[vfs_read\]: \d+$`, `^@\[vfs_write\]: \d+$`}},
	"vfsstat":         {seconds: 2, live: true, wants: []string{`^@\[vfs_read\]: \d+$`, `^@\[vfs_open\]: \d+$`}},
	"writeback":       {wants: []string{`^` + clock + `254:0 +\d+ +sync +\d+\.\d{3}$`}},
	"xfsdist":         {needs: []string{"kprobe:xfs_file_read_iter"}},
}

// innerBlock is said of scripts that older versions of the language took.
var innerBlock = []string{`warning: \$\w+ is set in an inner block and read outside of it$`}

// userSide makes the programs and libraries that the tools probe. Nothing else in a guest is called so.
func userSide(t *testing.T) {
	f := func(name string, number uint16) userFunction { return userFunction{name: name, number: number} }
	for path, functions := range userPrograms(f) {
		if _, err := os.Stat(path); err == nil {
			t.Fatalf("the guest has a %s of its own", path)
		}
		writeProgram(t, path, functions...)
		t.Cleanup(func() { os.Remove(path) })
	}
}

func userPrograms(f func(string, uint16) userFunction) map[string][]userFunction {
	host := func(name string) userFunction { return userFunction{name: name, text: "a.example"} }
	return map[string][]userFunction{
		"/bin/bash": {{name: "readline", text: "ls -l"}},
		"/usr/lib/libc.so.6": {
			host("getaddrinfo"), host("gethostbyname"), host("gethostbyname_r"), host("gethostbyname2"), host("gethostbyname2_r"),
			host("gethostbyaddr"), host("gethostbyaddr_r"),
		},
		"/usr/lib/libpthread.so.0": {f("pthread_create", 1)},
		"/usr/lib/libssl.so.3":     {f("SSL_read", 17), f("SSL_write", 5), f("SSL_do_handshake", 0xffff)},
		"/usr/lib/libcrypto.so.3": {
			f("rsa_ossl_public_encrypt", 51), f("rsa_ossl_public_decrypt", 51), f("rsa_ossl_private_encrypt", 51), f("rsa_ossl_private_decrypt", 51),
			f("RSA_sign", 51), f("RSA_verify", 51), f("ossl_ecdsa_sign", 51), f("ossl_ecdsa_verify", 51), f("ecdh_simple_compute_key", 51),
			f("ossl_ecdh_compute_key", 51),
		},
	}
}

func runUserSide() error {
	var err error
	for path := range userPrograms(func(string, uint16) userFunction { return userFunction{} }) {
		err = errors.Join(err, exec.Command(path).Run())
	}
	return err
}

// unanswered has the kernel send a packet again.
func unanswered(t *testing.T) {
	if err := toilUnanswered(); err != nil {
		t.Fatal(err)
	}
}

// outOfMemory has a process need more memory than its group may have: the kernel kills it.
func outOfMemory(t *testing.T) {
	group := "/sys/fs/cgroup/oom"
	for _, step := range []struct{ file, text string }{
		{"/sys/fs/cgroup/cgroup.subtree_control", "+memory"}, {group, ""}, {group + "/memory.max", "8M"}, {group + "/memory.oom.group", "0"},
	} {
		var err error
		if step.text == "" {
			err = os.Mkdir(step.file, 0o755)
		} else {
			err = os.WriteFile(step.file, []byte(step.text), 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { waitFor(t, "the group to be empty", func() bool { return os.Remove(group) == nil }) })
	eater := exec.Command(filepath.Join(filepath.Dir(as(t, "role-eat")), "role-eat"), group)
	if err := eater.Run(); err == nil {
		t.Fatal("it was not killed")
	}
}

// hasField says whether a struct of the kernel has a member of that name.
func hasField(t *testing.T, structure, field string) bool {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var s *btf.Struct
	if err := spec.TypeByName(structure, &s); err != nil {
		t.Fatal(err)
	}
	return memberNamed(s.Members, field)
}

// hasConstant says whether an enum of the kernel has a constant of that name.
func hasConstant(t *testing.T, enum, name string) bool {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var e *btf.Enum
	if err := spec.TypeByName(enum, &e); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(e.Values, func(v btf.EnumValue) bool { return v.Name == name })
}

func memberNamed(members []btf.Member, name string) bool {
	for _, m := range members {
		if m.Name == name {
			return true
		}
		switch inner := btf.UnderlyingType(m.Type).(type) {
		case *btf.Struct:
			if m.Name == "" && memberNamed(inner.Members, name) {
				return true
			}
		case *btf.Union:
			if m.Name == "" && memberNamed(inner.Members, name) {
				return true
			}
		}
	}
	return false
}
