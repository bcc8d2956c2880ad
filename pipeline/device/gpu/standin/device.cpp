#include "context.h"

using namespace standin;

ENTRY cuInit(unsigned) { return begin(__func__, "", false); }
ENTRY cuDriverGetVersion(int *version) {
	BEGIN("", false);
	const char *stated = getenv("STANDIN_VERSION");
	return *version = stated ? atoi(stated) : 12000, CUDA_SUCCESS;
}
ENTRY cuDeviceGetCount(int *count) {
	BEGIN("", false);
	const char *stated = getenv("STANDIN_DEVICES");
	return *count = stated ? atoi(stated) : 1, CUDA_SUCCESS;
}
ENTRY cuDeviceGet(CUdevice *device, int i) {
	BEGIN("", false);
	return *device = i, i ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}
ENTRY cuDeviceGetName(char *name, int length, CUdevice) {
	BEGIN("", false);
	return snprintf(name, length, "stand-in"), CUDA_SUCCESS;
}
ENTRY cuDeviceTotalMem_v2(size_t *bytes, CUdevice) {
	BEGIN("", false);
	return *bytes = capacity(), CUDA_SUCCESS;
}
ENTRY cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice) {
	BEGIN(std::to_string(attribute), false);
	switch (attribute) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 8; break;
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 4; break;
	case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: *value = 1000000; break;         // kHz
	case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: *value = 1000000; break;  // kHz
	case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *value = 64; break;
	default: *value = 0;
	}
	return CUDA_SUCCESS;
}

ENTRY cuDeviceComputeCapability(int *major, int *minor, CUdevice) {
	BEGIN("", false);
	return *major = 8, *minor = 0, CUDA_SUCCESS;
}

static const struct {
	CUresult status;
	int number;
	const char *name;
} names[] = {
#include "statuses.h"
};
ENTRY cuGetErrorName(CUresult status, const char **name) {
	for (auto &n : names)
		if (n.status == status) return *name = n.name, CUDA_SUCCESS;
	return *name = nullptr, CUDA_ERROR_INVALID_VALUE;
}
ENTRY cuGetErrorString(CUresult status, const char **text) { return cuGetErrorName(status, text); }
