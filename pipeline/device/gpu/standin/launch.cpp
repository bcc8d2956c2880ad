#include <dlfcn.h>

#include "context.h"

using namespace standin;

namespace {
struct extent {
	unsigned x, y, z;
};
typedef void (*kernel)(extent, extent, void **);

struct function {
	std::string name;
	kernel run;
	size_t parameters;
	unsigned long long pointers, written;  // a bit for each parameter that is a pointer, and not to constants
};
}  // namespace

ENTRY cuModuleLoadData(CUmodule *module, const void *image) {
	BEGIN("");
	*module = (CUmodule) new std::string((const char *)image);
	add(*module, "module");
	return CUDA_SUCCESS;
}
ENTRY cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned, CUjit_option *, void **) {
	BEGIN("");
	*module = (CUmodule) new std::string((const char *)image);
	add(*module, "module");
	return CUDA_SUCCESS;
}
ENTRY cuModuleUnload(CUmodule module) {
	BEGIN("");
	NEED(module, "module");
	return current->handles.erase(module), delete (std::string *)module, CUDA_SUCCESS;
}
ENTRY cuModuleGetFunction(CUfunction *f, CUmodule module, const char *name) {
	BEGIN(name);
	NEED(module, "module");
	static std::map<std::string, function *> functions;  // for good: a module's functions end with it, their handles don't matter
	const std::string &ptx = *(std::string *)module;
	size_t start = ptx.find(".entry " + std::string(name) + "("), end = ptx.find("{", start);
	Dl_info here;
	dladdr((void *)cuInit, &here);
	void *self = dlopen(here.dli_fname, RTLD_NOW);
	kernel run = (kernel)dlsym(self, ("standin_" + std::string(name)).c_str());
	auto *pointers = (const unsigned long long *)dlsym(self, ("standin_pointers_" + std::string(name)).c_str());
	auto *written = (const unsigned long long *)dlsym(self, ("standin_written_" + std::string(name)).c_str());
	if (start == std::string::npos || !run || !pointers || !written) return CUDA_ERROR_NOT_FOUND;
	size_t parameters = 0;
	for (size_t i = start; (i = ptx.find(".param ", i)) < end; i++) parameters++;
	function *&made = functions[name];
	if (!made) made = new function{name, run, parameters, *pointers, *written};
	return *f = (CUfunction)made, CUDA_SUCCESS;
}
ENTRY cuFuncSetAttribute(CUfunction f, CUfunction_attribute, int) { return begin(__func__, ((function *)f)->name); }
ENTRY cuLaunchKernel(CUfunction handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, CUstream s,
                     void **parameters, void **) {
	function &f = *(function *)handle;
	BEGIN(f.name);
	STREAM(on, s);
	if (!gx || !gy || !gz || !bx || !by || !bz || gx > 0x7fffffff || gy > 65535 || gz > 65535 || bx * by * bz > 1024) return CUDA_ERROR_INVALID_VALUE;
	std::vector<uint64_t> values(f.parameters);
	std::vector<standin_range> ranges;
	for (size_t i = 0; i < values.size(); i++) {
		memcpy(&values[i], parameters[i], 8);
		if (f.pointers >> i & 1 && values[i]) ranges.push_back({(CUdeviceptr)values[i], 1, bool(f.written >> i & 1)});
	}
	kernel run = f.run;
	return submit(on, {f.name, ranges, [=]() mutable {
		std::vector<void *> pointers;
		for (auto &v : values) pointers.push_back(&v);
		run({gx, gy, gz}, {bx, by, bz}, pointers.data());
	}}, LAUNCHES);
}
ENTRY cuLaunchHostFunc(CUstream handle, CUhostFn f, void *argument) {
	BEGIN("");
	STREAM(s, handle);
	return submit(s, {"a function of the host", {}, [=] { f(argument); }}, LAUNCHES);
}
