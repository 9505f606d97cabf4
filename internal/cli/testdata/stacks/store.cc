// A program without libraries that calls one function from several places, some of them inlined, and ends at once.
extern "C" void leave(long) __attribute__((noreturn));

namespace work {

template <class T> struct Store {
	T last;
	[[gnu::noinline]] T put(T value);
	inline T twice(T value) { return put(value) + put(value + 1); }
};

template <class T> T Store<T>::put(T value)
{
	last = value;
	asm volatile("" ::"r"(__builtin_frame_address(0)) : "memory");
	return value;
}

namespace {
[[gnu::always_inline]] inline int fill(Store<int> &store, int many)
{
	int sum = 0;
	for (int i = 0; i < many; i++)
		sum += store.twice(i);
	return sum;
}
}

[[gnu::noinline]] int run(Store<int> &store, int many)
{
	int sum = fill(store, many);
	asm volatile("" : "+r"(sum));
	return sum + store.put(many);
}

}

static work::Store<int> store;

extern "C" [[gnu::noinline]] int begin()
{
	int sum = work::run(store, 3);
	asm volatile("" : "+r"(sum));
	return sum;
}

asm(".globl _start\n_start:\n\txor %ebp, %ebp\n\tand $-16, %rsp\n\tcall begin\n\tmov $231, %eax\n\txor %edi, %edi\n\tsyscall\n\thlt\n"
    ".type _start, @function\n.size _start, .-_start\n");
