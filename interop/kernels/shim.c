// Makes bochscpu-python run on systems older than those it was built on, and makes
// its processor one with bf16 instructions. It is to be preloaded.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

// glibc 2.38 renamed these for programs compiled as C23.
unsigned long long __isoc23_strtoull(const char *s, char **end, int base) { return strtoull(s, end, base); }

int __isoc23_sscanf(const char *s, const char *format, ...) {
	va_list args;
	va_start(args, format);
	int n = vsscanf(s, format, args);
	va_end(args);
	return n;
}

// The library makes a Cannon Lake, which has AVX-512 and no bf16, and has no setting
// for another. It calls the function by name, so a Sapphire Rapids can take its place.
void *_Z23create_corei3_cnl_cpuidP8BX_CPU_C(void *cpu) {
	Dl_info caller;
	void *library = NULL, *(*make)(void *) = NULL;
	if (dladdr(__builtin_return_address(0), &caller))
		library = dlopen(caller.dli_fname, RTLD_NOW | RTLD_NOLOAD);
	if (library)
		make = (void *(*)(void *))dlsym(library, "_Z28create_sapphire_rapids_cpuidP8BX_CPU_C");
	if (!make) {
		fprintf(stderr, "the emulator has no Sapphire Rapids\n");
		abort();
	}
	return make(cpu);
}
