// jpeg_check reads a whole JPEG file with libjpeg, as djpeg -strict does: the
// first warning ends it. Nothing is kept of the pixels.

#ifndef CATDOG_JPEG_H
#define CATDOG_JPEG_H

#include <stddef.h>

enum {
	JPEG_GOOD,
	JPEG_TRUNCATED,   // the file ends before the image does
	JPEG_CORRUPT,     // libjpeg warns or fails
	JPEG_SHORT_DATA,  // far fewer rows than the header says
	JPEG_LONG_DATA,   // far more data than the header says
	JPEG_UNSUPPORTED, // a variant that libjpeg was not built for
};

typedef struct {
	int status;
	int width, height;  // 0 if the header could not be read
	int rows;           // rows of the image that were read, about
	char message[200];  // libjpeg's
} jpeg_result;

// jpeg_check reads the length bytes at data; only the header if header_only.
void jpeg_check(const unsigned char *data, size_t length, int header_only, jpeg_result *result);

#endif
