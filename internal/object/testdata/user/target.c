// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A program with a static probe (USDT) of six arguments in registers, memory and constants, which it passes five times. It needs no
// library. The note has the form that sys/sdt.h writes.

static volatile unsigned short small = 65000;
__attribute__((used, section(".probes"))) unsigned short sondetest_step_semaphore;

#if defined(__x86_64__)
#define ARGS "-4@%[n] 8@%[big] -2@$-7 2@%[small] -8@-8(%%rsp) 1@%b[n]"
#else
#define ARGS "-4@%w[n] 8@%x[big] -2@-7 2@%w[small] -8@[sp, -8] 1@%w[n]"
#endif

__attribute__((noinline)) static void step(int n)
{
	unsigned long big = 0x1122334455667788, word = small;
	long below = -1234567890123;

#if defined(__x86_64__)
	__asm__ volatile("movq %0, -8(%%rsp)" : : "r"(below) : "memory");
#else
	__asm__ volatile("str %x0, [sp, -8]" : : "r"(below) : "memory");
#endif
	__asm__ volatile("990: nop\n"
			 ".pushsection .note.stapsdt, \"\", \"note\"\n"
			 ".balign 4\n"
			 ".4byte 992f-991f, 994f-993f, 3\n"
			 "991: .asciz \"stapsdt\"\n"
			 "992: .balign 4\n"
			 "993: .8byte 990b, _.stapsdt.base, sondetest_step_semaphore\n"
			 ".asciz \"sondetest\"\n"
			 ".asciz \"step\"\n"
			 ".asciz \"" ARGS "\"\n"
			 "994: .balign 4\n"
			 ".popsection\n"
			 ".ifndef _.stapsdt.base\n"
			 ".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"
			 ".weak _.stapsdt.base\n"
			 ".hidden _.stapsdt.base\n"
			 "_.stapsdt.base: .space 1\n"
			 ".size _.stapsdt.base, 1\n"
			 ".popsection\n"
			 ".endif\n"
			 :
			 : [n] "r"(n), [big] "r"(big), [small] "r"(word)
			 : "memory");
}

void _start(void)
{
	// The probe counts only if the kernel has raised the semaphore.
	for (int n = -2; n < 3; n++)
		step(n);
#if defined(__x86_64__)
	__asm__ volatile("syscall" : : "a"(60), "D"(*(volatile unsigned short *)&sondetest_step_semaphore));
#else
	register long x0 __asm__("x0") = *(volatile unsigned short *)&sondetest_step_semaphore, x8 __asm__("x8") = 93;
	__asm__ volatile("svc 0" : : "r"(x0), "r"(x8));
#endif
	__builtin_unreachable();
}
