#define _GNU_SOURCE
#include "executor.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { slots = 256 };

struct executor {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, progress; // signalled to, and by, the thread
	unsigned long submitted, done;
	int threads, stop, failed;
	char failure[256];
	struct {
		operation run;
		_Alignas(64) unsigned char arguments[arguments_limit];
	} queue[slots];
};

static void *run(void *argument) {
	executor *e = argument;
	omp_set_dynamic(0);
	omp_set_num_threads(e->threads);
	pthread_mutex_lock(&e->lock);
	for (;;) {
		while (e->done == e->submitted && !e->stop) pthread_cond_wait(&e->work, &e->lock);
		if (e->done == e->submitted) break;
		const unsigned long i = e->done % slots;
		if (!e->failed) {
			pthread_mutex_unlock(&e->lock);
			const char *failure = e->queue[i].run(e->queue[i].arguments);
			pthread_mutex_lock(&e->lock);
			if (failure) {
				strncpy(e->failure, failure, sizeof e->failure - 1);
				e->failed = 1;
			}
		}
		e->done++;
		pthread_cond_broadcast(&e->progress);
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

executor *executor_new(int threads) {
	executor *e = aligned_alloc(64, (sizeof *e + 63) / 64 * 64);
	if (!e) return NULL;
	memset(e, 0, sizeof *e);
	e->threads = threads;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->work, NULL);
	pthread_cond_init(&e->progress, NULL);
	if (pthread_create(&e->thread, NULL, run, e)) {
		free(e);
		return NULL;
	}
	return e;
}

void executor_submit(executor *e, operation run, const void *arguments, size_t size) {
	pthread_mutex_lock(&e->lock);
	while (e->submitted - e->done == slots) pthread_cond_wait(&e->progress, &e->lock);
	const unsigned long i = e->submitted % slots;
	e->queue[i].run = run;
	memcpy(e->queue[i].arguments, arguments, size);
	e->submitted++;
	pthread_cond_signal(&e->work);
	pthread_mutex_unlock(&e->lock);
}

const char *executor_wait(executor *e) {
	pthread_mutex_lock(&e->lock);
	while (e->submitted != e->done) pthread_cond_wait(&e->progress, &e->lock);
	const char *failure = e->failed ? e->failure : NULL;
	e->failed = 0;
	pthread_mutex_unlock(&e->lock);
	return failure;
}

void executor_convert(executor *e, operation run, const float *from, float *to, int batch, int height, int width, int channels, int threads) {
	const struct layout_arguments a = {from, to, batch, height, width, channels, threads};
	executor_submit(e, run, &a, sizeof a);
	executor_wait(e);
}

void executor_free(executor *e) {
	pthread_mutex_lock(&e->lock);
	e->stop = 1;
	pthread_cond_signal(&e->work);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	pthread_cond_destroy(&e->work);
	pthread_cond_destroy(&e->progress);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

void *memory_new(size_t bytes) {
	const size_t huge = (size_t)2 << 20, alignment = bytes >= huge ? huge : 64;
	bytes = (bytes + alignment - 1) / alignment * alignment;
	void *p = aligned_alloc(alignment, bytes ? bytes : alignment);
	if (!p) return NULL;
#if defined(MADV_HUGEPAGE)
	if (alignment == huge) madvise(p, bytes, MADV_HUGEPAGE);
#endif
	return memset(p, 0, bytes);
}
