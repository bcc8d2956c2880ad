#include "jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

// How many bytes libjpeg is given at a time. Below 512 it never takes its fast
// path through the entropy-coded data, which overlooks bad codes. But the slow
// path may overlook a few bytes too many at the end, which the fast one sees; so
// files are read in both ways, the second with djpeg's chunks.
enum { SLOW_CHUNK = 256, FAST_CHUNK = 4096 };

// MAXIMUM_SCANS bounds the work that a small progressive file can ask for.
enum { MAXIMUM_SCANS = 500 };

// MISSING is the share of the image, one in so many, that must be missing or
// left over for the header to be called a lie rather than the data corrupt.
enum { MISSING = 8 };

typedef struct {
	struct jpeg_decompress_struct info;
	struct jpeg_error_mgr errors;
	struct jpeg_source_mgr source;
	struct jpeg_progress_mgr progress;
	jmp_buf stop;
	const unsigned char *data;
	size_t length, given, chunk;
	unsigned char *row;
	jpeg_result *result;
} reader;

static reader *reader_of(j_common_ptr info) { return (reader *)info->client_data; }

static void stop(reader *r, int status) {
	r->result->status = status;
	longjmp(r->stop, 1);
}

// rows_read is how many rows of the current scan have been read.
static JDIMENSION rows_read(const struct jpeg_decompress_struct *info) {
	if (info->total_iMCU_rows == 0)
		return 0;
	double share = (double)info->input_iMCU_row / info->total_iMCU_rows;
	return (JDIMENSION)(share * info->image_height);
}

// complain ends the reading at the first warning or error.
static void complain(reader *r) {
	struct jpeg_decompress_struct *info = &r->info;
	(*r->errors.format_message)((j_common_ptr)info, r->result->message);
	JDIMENSION rows = rows_read(info);
	r->result->rows = (int)rows;
	switch (r->errors.msg_code) {
	case JWRN_JPEG_EOF:
	case JERR_INPUT_EOF:
		stop(r, JPEG_TRUNCATED);
	case JWRN_HIT_MARKER:
		if (info->image_height - rows > info->image_height / MISSING)
			stop(r, JPEG_SHORT_DATA);
		break;
	case JWRN_EXTRANEOUS_DATA:
		if (info->global_state != 0 && (size_t)r->errors.msg_parm.i[0] > r->length / MISSING)
			stop(r, JPEG_LONG_DATA);
		break;
	case JERR_ARITH_NOTIMPL:
	case JERR_BAD_PRECISION:
	case JERR_COMPONENT_COUNT:
	case JERR_CONVERSION_NOTIMPL:
	case JERR_NOT_COMPILED:
	case JERR_SOF_UNSUPPORTED:
		stop(r, JPEG_UNSUPPORTED);
	}
	stop(r, JPEG_CORRUPT);
}

static void on_error(j_common_ptr info) { complain(reader_of(info)); }

static void on_message(j_common_ptr info, int level) {
	if (level < 0)
		complain(reader_of(info));
}

static void on_progress(j_common_ptr info) {
	if (((j_decompress_ptr)info)->input_scan_number > MAXIMUM_SCANS) {
		reader *r = reader_of(info);
		snprintf(r->result->message, sizeof r->result->message, "more than %d scans", MAXIMUM_SCANS);
		stop(r, JPEG_UNSUPPORTED);
	}
}

static void nothing(j_decompress_ptr info) { (void)info; }

static boolean fill(j_decompress_ptr info) {
	reader *r = (reader *)info->client_data;
	size_t length = r->length - r->given;
	if (length == 0)
		WARNMS(info, JWRN_JPEG_EOF); // does not return
	if (length > r->chunk)
		length = r->chunk;
	r->source.next_input_byte = r->data + r->given;
	r->source.bytes_in_buffer = length;
	r->given += length;
	return TRUE;
}

static void skip(j_decompress_ptr info, long count) {
	reader *r = (reader *)info->client_data;
	while (count > (long)r->source.bytes_in_buffer) {
		count -= (long)r->source.bytes_in_buffer;
		fill(info);
	}
	if (count > 0) {
		r->source.next_input_byte += count;
		r->source.bytes_in_buffer -= (size_t)count;
	}
}

static void read_image(reader *r, int header_only) {
	struct jpeg_decompress_struct *info = &r->info;
	jpeg_read_header(info, TRUE);
	r->result->width = (int)info->image_width;
	r->result->height = (int)info->image_height;
	if (header_only)
		return;
	// At an eighth of the size all entropy-coded data is still read and checked,
	// but hardly a pixel computed.
	info->scale_num = 1;
	info->scale_denom = 8;
	info->do_fancy_upsampling = FALSE;
	info->out_color_space = info->jpeg_color_space;
	jpeg_start_decompress(info);
	r->row = malloc((size_t)info->output_width * (size_t)info->output_components);
	if (r->row == NULL)
		ERREXIT1(info, JERR_OUT_OF_MEMORY, 0);
	JSAMPROW row = r->row;
	while (info->output_scanline < info->output_height)
		jpeg_read_scanlines(info, &row, 1);
	jpeg_finish_decompress(info);
}

static void read_once(const unsigned char *data, size_t length, size_t chunk, int header_only, jpeg_result *result) {
	reader *r = calloc(1, sizeof *r);
	memset(result, 0, sizeof *result);
	if (r == NULL) {
		result->status = JPEG_CORRUPT;
		snprintf(result->message, sizeof result->message, "out of memory");
		return;
	}
	r->data = data;
	r->length = length;
	r->chunk = chunk;
	r->result = result;
	r->info.err = jpeg_std_error(&r->errors);
	r->errors.error_exit = on_error;
	r->errors.emit_message = on_message;
	r->info.client_data = r;
	if (setjmp(r->stop) == 0) {
		jpeg_create_decompress(&r->info);
		r->source.init_source = nothing;
		r->source.fill_input_buffer = fill;
		r->source.skip_input_data = skip;
		r->source.resync_to_restart = jpeg_resync_to_restart;
		r->source.term_source = nothing;
		r->info.src = &r->source;
		r->progress.progress_monitor = on_progress;
		r->info.progress = &r->progress;
		read_image(r, header_only);
	}
	jpeg_destroy_decompress(&r->info);
	free(r->row);
	free(r);
}

void jpeg_check(const unsigned char *data, size_t length, int header_only, jpeg_result *result) {
	read_once(data, length, SLOW_CHUNK, header_only, result);
	if (!header_only && result->status == JPEG_GOOD)
		read_once(data, length, FAST_CHUNK, header_only, result);
}
