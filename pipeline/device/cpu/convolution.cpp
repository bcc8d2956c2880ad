#include "convolution.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "executor.h"

using namespace dnnl;
using descriptor = memory::desc;
using tag = memory::format_tag;

struct library {
	engine cpu{engine::kind::cpu, 0};
	stream queue{cpu};
	// Operations run one after another, so they share their scratch memory.
	void *scratch = nullptr;
	size_t scratch_size = 0;
	std::string failure;

	~library() { free(scratch); }

	void reserve(size_t bytes) {
		if (bytes <= scratch_size) return;
		free(scratch);
		scratch_size = 0;
		scratch = memory_new(bytes);
		if (!scratch) throw std::bad_alloc();
		scratch_size = bytes;
	}
};

namespace {

// Runs body; an exception's text is kept in the library.
template <typename Body>
const char *guard(library *l, Body body) {
	try {
		body();
		return nullptr;
	} catch (const error &e) {
		l->failure = std::string("oneDNN: ") + e.what();
	} catch (const std::exception &e) {
		l->failure = e.what();
	}
	return l->failure.c_str();
}

primitive_attr user_scratch() {
	primitive_attr attributes;
	attributes.set_scratchpad_mode(scratchpad_mode::user);
	return attributes;
}

// A primitive with its arguments' memory objects.
struct call {
	primitive run;
	std::vector<dnnl_exec_arg_t> arguments;
	std::vector<memory> memories;

	void set(library &l, const primitive &p, const descriptor &scratchpad) {
		run = p;
		if (scratchpad.get_size()) {
			l.reserve(scratchpad.get_size());
			add(l, DNNL_ARG_SCRATCHPAD, scratchpad);
		}
	}

	// Returns the argument's number.
	int add(library &l, int index, const descriptor &d) {
		memories.emplace_back(d, l.cpu, nullptr);
		arguments.push_back({index, memories.back().get()});
		return memories.size() - 1;
	}

	// Only on change: with padded channels, oneDNN writes their zeros anew.
	void at(int number, const void *data) {
		if (memories[number].get_data_handle() != data) memories[number].set_data_handle(const_cast<void *>(data));
	}

	void execute(library &l) {
		if (arguments[0].arg == DNNL_ARG_SCRATCHPAD) at(0, l.scratch);
		error::wrap_c_api(dnnl_primitive_execute(run.get(), l.queue.get(), arguments.size(), arguments.data()), "cannot execute");
	}
};

// Memory of the convolution's own in the layout that a primitive prefers, and
// the reordering between it and the layout that the data have.
struct staging {
	bool needed = false;
	call reordering;
	int from = 0, to = 0;
	std::unique_ptr<void, decltype(&free)> data{nullptr, free};

	void set(library &l, const descriptor &given, const descriptor &preferred, bool into) {
		needed = given != preferred;
		if (!needed) return;
		data.reset(memory_new(preferred.get_size()));
		if (!data) throw std::bad_alloc();
		const descriptor &a = into ? given : preferred, &b = into ? preferred : given;
		reorder::primitive_desc d(l.cpu, a, l.cpu, b, user_scratch());
		reordering.set(l, reorder(d), d.scratchpad_desc());
		from = reordering.add(l, DNNL_ARG_FROM, a);
		to = reordering.add(l, DNNL_ARG_TO, b);
	}

	// Where the primitive finds what lies at p.
	void *enter(library &l, void *p) {
		if (!needed) return p;
		reordering.at(from, p);
		reordering.at(to, data.get());
		reordering.execute(l);
		return data.get();
	}

	// Where the primitive writes what is to lie at p; leave brings it there.
	void *place(void *p) { return needed ? data.get() : p; }
	void leave(library &l, void *p) {
		if (!needed) return;
		reordering.at(from, data.get());
		reordering.at(to, p);
		reordering.execute(l);
	}
};

// What a primitive takes or gives: its argument's number, and in which layout.
struct operand {
	int argument;
	descriptor layout;
};

// One direction of a convolution.
struct direction {
	call compute;
	int x = 0, w = 0, y = 0;
	staging x_staging, w_staging;

	// x and w lie in other layouts than the primitive's, perhaps; read says that
	// it reads w, otherwise it writes it.
	template <typename Pass>
	void set(library &l, const typename Pass::primitive_desc &p, const operand &x, const descriptor &x_given, const operand &w, const descriptor &w_given, bool read, const operand &y) {
		compute.set(l, Pass(p), p.scratchpad_desc());
		this->x = compute.add(l, x.argument, x.layout);
		this->w = compute.add(l, w.argument, w.layout);
		this->y = compute.add(l, y.argument, y.layout);
		x_staging.set(l, x_given, x.layout, true);
		w_staging.set(l, w_given, w.layout, read);
	}
};

// The layouts and the geometry of a convolution.
struct geometry {
	descriptor x, w, y;
	memory::dims strides, padding;
};

// Primitives' descriptions, as oneDNN's version wants them made.
dnnl::convolution_forward::primitive_desc describe_forward(library &l, algorithm how, const geometry &g) {
	// For inference, oneDNN's Winograd wants weights transformed beforehand, and
	// has no reordering to that from blocked ones.
	const auto kind = prop_kind::forward_training;
#if DNNL_VERSION_MAJOR >= 3
	return {l.cpu, kind, how, g.x, g.w, g.y, g.strides, g.padding, g.padding, user_scratch()};
#else
	return {{kind, how, g.x, g.w, g.y, g.strides, g.padding, g.padding}, user_scratch(), l.cpu};
#endif
}

template <typename Pass>
typename Pass::primitive_desc describe_backward(library &l, algorithm how, const geometry &g, const dnnl::convolution_forward::primitive_desc &forward) {
#if DNNL_VERSION_MAJOR >= 3
	return {l.cpu, how, g.x, g.w, g.y, g.strides, g.padding, g.padding, forward, user_scratch()};
#else
	return {{how, g.x, g.w, g.y, g.strides, g.padding, g.padding}, user_scratch(), l.cpu, forward};
#endif
}

descriptor any(const descriptor &d) {
#if DNNL_VERSION_MAJOR >= 3
	return descriptor(d.get_dims(), memory::data_type::f32, tag::any);
#else
	return descriptor(d.dims(), memory::data_type::f32, tag::any);
#endif
}

} // namespace

struct convolution {
	library *l;
	descriptor w;
	size_t w_bytes; // padding included
	bool w_padded;
	direction forward, backward_input, backward_weights;
	// For an input gradient that is added to itself.
	std::unique_ptr<float, decltype(&free)> sum{nullptr, free};
	size_t x_bytes;
	operation add;
	int threads;
};

const char *library_version(void) {
	static const std::string text = [] {
		const dnnl_version_t *v = dnnl_version();
		return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
	}();
	return text.c_str();
}

int library_winograd(void) { return dnnl_version()->major < 3; }

const char *library_new(const void *arguments) {
	static std::string failure;
	try {
		*((const library_arguments *)arguments)->library = new library();
		return nullptr;
	} catch (const std::exception &e) {
		failure = std::string("oneDNN: ") + e.what();
		return failure.c_str();
	}
}

void library_free(library *l) { delete l; }

void convolution_free(convolution *c) { delete c; }

const char *convolution_new(const void *arguments) {
	const convolution_new_arguments &a = *(const convolution_new_arguments *)arguments;
	library &l = *a.library;
	return guard(&l, [&] {
		auto c = std::make_unique<convolution>();
		c->l = a.library;
		c->add = a.add;
		c->threads = a.threads;
		const auto f32 = memory::data_type::f32;
		const memory::dim rows = (a.height + 2 * a.padding - a.kernel) / a.stride + 1;
		const memory::dim columns = (a.width + 2 * a.padding - a.kernel) / a.stride + 1;
		const tag blocked = a.block == 16 ? tag::nChw16c : tag::nChw8c;
		const memory::dims x_dims{a.batch, a.in, a.height, a.width}, w_dims{a.out, a.in, a.kernel, a.kernel};
		const memory::dims strides{a.stride, a.stride}, padding{a.padding, a.padding};
		const descriptor x(x_dims, f32, a.plain ? tag::nhwc : blocked), x_blocked(x_dims, f32, blocked);
		const descriptor y({a.batch, a.out, rows, columns}, f32, blocked);
		c->x_bytes = x_blocked.get_size();
		if (a.plain) {
			const memory::dim out = (a.out + a.block - 1) / a.block * a.block;
			c->w_bytes = out * a.in * a.kernel * a.kernel * sizeof(float);
			c->w_padded = out != a.out;
			c->w = descriptor(w_dims, f32, memory::dims{1, out, a.kernel * a.in * out, a.in * out});
		} else {
			c->w = descriptor(w_dims, f32, a.block == 16 ? tag::OIhw16i16o : tag::OIhw8i8o);
			c->w_padded = false; // oneDNN writes these zeros itself
		}

		// Winograd where oneDNN has it for the shape and it pays.
		const bool try_winograd = !a.direct && a.kernel == 3 && a.stride == 1 && a.in >= 16 && a.out >= 16;
		const auto choose = [&](auto describe) {
			if (try_winograd) {
				try {
					return describe(algorithm::convolution_winograd);
				} catch (const error &) {
					// No such primitive: direct.
				}
			}
			return describe(algorithm::convolution_direct);
		};
		const geometry g{a.plain ? any(x) : x, any(c->w), y, strides, padding};
		const auto forward = choose([&](algorithm how) { return describe_forward(l, how, g); });
		c->forward.set<dnnl::convolution_forward>(
			l, forward, {DNNL_ARG_SRC, forward.src_desc()}, x, {DNNL_ARG_WEIGHTS, forward.weights_desc()}, c->w, true, {DNNL_ARG_DST, forward.dst_desc()});
		if (!a.inference) {
			using pass = dnnl::convolution_backward_weights;
			const auto p = choose([&](algorithm how) { return describe_backward<pass>(l, how, g, forward); });
			c->backward_weights.set<pass>(
				l, p, {DNNL_ARG_SRC, p.src_desc()}, x, {DNNL_ARG_DIFF_WEIGHTS, p.diff_weights_desc()}, c->w, false, {DNNL_ARG_DIFF_DST, p.diff_dst_desc()});
		}
		if (!a.inference && a.input_gradient) {
			using pass = dnnl::convolution_backward_data;
			geometry blocked_x = g;
			blocked_x.x = x_blocked;
			const auto p = choose([&](algorithm how) { return describe_backward<pass>(l, how, blocked_x, forward); });
			c->backward_input.set<pass>(
				l, p, {DNNL_ARG_DIFF_SRC, p.diff_src_desc()}, x_blocked, {DNNL_ARG_WEIGHTS, p.weights_desc()}, c->w, true, {DNNL_ARG_DIFF_DST, p.diff_dst_desc()});
		}
		*a.convolution = c.release();
	});
}

const char *convolution_forward(const void *arguments) {
	const convolution_arguments &a = *(const convolution_arguments *)arguments;
	library &l = *a.convolution->l;
	direction &d = a.convolution->forward;
	return guard(&l, [&] {
		d.compute.at(d.x, d.x_staging.enter(l, a.x));
		d.compute.at(d.w, d.w_staging.enter(l, a.w));
		d.compute.at(d.y, a.y);
		d.compute.execute(l);
	});
}

const char *convolution_backward_weights(const void *arguments) {
	const convolution_arguments &a = *(const convolution_arguments *)arguments;
	library &l = *a.convolution->l;
	direction &d = a.convolution->backward_weights;
	return guard(&l, [&] {
		if (a.convolution->w_padded) memset(a.w, 0, a.convolution->w_bytes);
		d.compute.at(d.x, d.x_staging.enter(l, a.x));
		d.compute.at(d.w, d.w_staging.place(a.w));
		d.compute.at(d.y, a.y);
		d.compute.execute(l);
		d.w_staging.leave(l, a.w);
	});
}

const char *convolution_backward_input(const void *arguments) {
	const convolution_arguments &a = *(const convolution_arguments *)arguments;
	convolution &c = *a.convolution;
	library &l = *c.l;
	direction &d = c.backward_input;
	return guard(&l, [&] {
		float *x = a.x;
		const float *addend = a.addend;
		if (addend == a.x) {
			if (!c.sum) c.sum.reset((float *)memory_new(c.x_bytes));
			if (!c.sum) throw std::bad_alloc();
			x = c.sum.get();
			addend = x;
		}
		d.compute.at(d.x, x);
		d.compute.at(d.w, d.w_staging.enter(l, a.w));
		d.compute.at(d.y, a.y);
		d.compute.execute(l);
		if (addend) {
			const add_arguments sum{addend, a.x, c.x_bytes / sizeof(float), c.threads};
			c.add(&sum);
		}
	});
}
