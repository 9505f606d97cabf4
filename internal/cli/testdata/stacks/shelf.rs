// The same as store.cc, in Rust.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::panic::PanicInfo;

pub trait Keep {
    fn put(&mut self, value: u32) -> u32;
}

pub struct Shelf<const N: usize> {
    last: [u32; N],
}

impl<const N: usize> Keep for Shelf<N> {
    #[inline(never)]
    fn put(&mut self, value: u32) -> u32 {
        self.last[value as usize % N] = value;
        unsafe { asm!("") };
        value
    }
}

#[inline(always)]
fn fill<K: Keep>(keep: &mut K, many: u32) -> u32 {
    let mut sum = 0;
    let mut each = |n| sum += keep.put(n);
    each(many);
    each(many + 1);
    sum
}

#[inline(never)]
fn run(many: u32) -> u32 {
    let mut shelf = Shelf::<4> { last: [0; 4] };
    let sum = fill(&mut shelf, many);
    unsafe { asm!("") };
    sum + shelf.last[0]
}

#[no_mangle]
extern "C" fn begin() -> u32 {
    let sum = run(3);
    unsafe { asm!("") };
    sum
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    loop {}
}

global_asm!(
    ".globl _start", "_start:", "xor %ebp, %ebp", "and $-16, %rsp", "call begin", "mov $231, %eax", "xor %edi, %edi", "syscall", "hlt",
    ".type _start, @function", ".size _start, .-_start",
    options(att_syntax)
);
