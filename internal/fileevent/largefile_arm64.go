package fileevent

// largeFile is the kernel's O_LARGEFILE: package unix has 0 where 64-bit programs need not give it.
const largeFile = 0o400000
