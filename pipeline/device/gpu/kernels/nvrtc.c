/* nvrtc LIBRARY SOURCE OUT.ptx OPTION...: compiles CUDA C to PTX. It opens the
   library at run time and so needs no header. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef void *program;

int main(int count, char **arguments) {
	void *library = count > 3 ? dlopen(arguments[1], RTLD_NOW) : 0;
	if (!library) {
		fprintf(stderr, "nvrtc: %s\n", count > 3 ? dlerror() : "LIBRARY SOURCE OUT.ptx OPTION...");
		return 2;
	}
	int (*create)(program *, const char *, const char *, int, const char **, const char **) = dlsym(library, "nvrtcCreateProgram");
	int (*compile)(program, int, const char **) = dlsym(library, "nvrtcCompileProgram");
	int (*log_size)(program, size_t *) = dlsym(library, "nvrtcGetProgramLogSize");
	int (*get_log)(program, char *) = dlsym(library, "nvrtcGetProgramLog");
	int (*ptx_size)(program, size_t *) = dlsym(library, "nvrtcGetPTXSize");
	int (*get_ptx)(program, char *) = dlsym(library, "nvrtcGetPTX");

	FILE *file = fopen(arguments[2], "rb");
	if (!file) return perror(arguments[2]), 2;
	fseek(file, 0, SEEK_END);
	long length = ftell(file);
	rewind(file);
	char *source = calloc(1, length + 1);
	if (fread(source, 1, length, file) != (size_t)length) return perror(arguments[2]), 2;
	fclose(file);

	program p;
	if (create(&p, source, arguments[2], 0, 0, 0)) return 2;
	int failed = compile(p, count - 4, (const char **)arguments + 4);
	size_t size;
	log_size(p, &size);
	char *log = calloc(1, size + 1);
	get_log(p, log);
	if (size > 1) fprintf(stderr, "%s\n", log);
	if (failed) return 1;
	ptx_size(p, &size);
	char *ptx = calloc(1, size);
	get_ptx(p, ptx);
	file = fopen(arguments[3], "wb");
	if (!file || fwrite(ptx, 1, size - 1, file) != size - 1 || fclose(file)) return perror(arguments[3]), 2;
	return 0;
}
