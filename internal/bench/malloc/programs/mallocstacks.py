# SPDX-License-Identifier: Apache-2.0
# What bcc's example of the same name does, for those releases of its package that do not ship it: bytes by stack, added up in the kernel,
# printed when it is interrupted. Stacks with the same hash are kept apart, as there.
import sys
import time
from bcc import BPF

pid = int(sys.argv[1])
b = BPF(text="""
#include <uapi/linux/ptrace.h>
BPF_HASH(bytes, int);
BPF_STACK_TRACE(stacks, 10240);
int enter(struct pt_regs *ctx, size_t size) {
    int key = stacks.get_stackid(ctx, BPF_F_USER_STACK);
    if (key < 0)
        return 0;
    u64 zero = 0, *sum = bytes.lookup_or_try_init(&key, &zero);
    if (sum)
        *sum += size;
    return 0;
}
""")
b.attach_uprobe(name="c", sym="malloc", fn_name="enter", pid=pid)
sys.stderr.write("attached\n")
sys.stderr.flush()
try:
    time.sleep(1 << 20)
except KeyboardInterrupt:
    pass
for key, sum in sorted(b["bytes"].items(), key=lambda kv: kv[1].value):
    print("%d bytes allocated at:" % sum.value)
    for addr in b["stacks"].walk(key.value):
        print("\t%s" % b.sym(addr, pid, show_offset=True).decode())
