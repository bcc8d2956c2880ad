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

namespace {

// Memory that is as large as whoever wanted most of it.
struct buffer {
	std::unique_ptr<void, decltype(&free)> data{nullptr, free};
	size_t size = 0;

	void reserve(size_t bytes) {
		if (bytes <= size) return;
		size = 0;
		data.reset(); // before there is more
		data.reset(memory_new(bytes));
		if (!data) throw std::bad_alloc();
		size = bytes;
	}
};

} // namespace

// Operations run one after another, so they share their scratch memory, and
// where they stage what lies in another layout than oneDNN's.
struct library {
	engine cpu{engine::kind::cpu, 0};
	stream queue{cpu};
	buffer scratch, staged_x, staged_w, staged_y;
	std::string failure;
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
			l.scratch.reserve(scratchpad.get_size());
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
		if (arguments[0].arg == DNNL_ARG_SCRATCHPAD) at(0, l.scratch.data.get());
		error::wrap_c_api(dnnl_primitive_execute(run.get(), l.queue.get(), arguments.size(), arguments.data()), "cannot execute");
	}
};

// What a primitive reads or writes: the argument's number, the layout that the
// data have, and the one that the primitive prefers.
struct operand {
	int argument;
	bool read;
	descriptor given, preferred;
};

// An operand that has its place, and the reordering between its two layouts.
struct binding {
	int number;
	bool read, needed;
	buffer *staged;
	call reordering;
	int from, to;

	void set(library &l, call &compute, const operand &o, buffer &b) {
		number = compute.add(l, o.argument, o.preferred);
		read = o.read;
		staged = &b;
		needed = o.given != o.preferred;
		if (!needed) return;
		staged->reserve(o.preferred.get_size());
		const descriptor &source = read ? o.given : o.preferred, &target = read ? o.preferred : o.given;
		reorder::primitive_desc d(l.cpu, source, l.cpu, target, user_scratch());
		reordering.set(l, reorder(d), d.scratchpad_desc());
		from = reordering.add(l, DNNL_ARG_FROM, source);
		to = reordering.add(l, DNNL_ARG_TO, target);
	}

	void copy(library &l, void *source, void *target) {
		reordering.at(from, source);
		reordering.at(to, target);
		reordering.execute(l);
	}

	// Has the primitive find, or put, what lies at p, or is to.
	void enter(library &l, call &compute, void *p) {
		if (needed && read) copy(l, p, staged->data.get());
		compute.at(number, needed ? staged->data.get() : p);
	}

	// Brings what the primitive has written to p.
	void leave(library &l, void *p) {
		if (needed && !read) copy(l, staged->data.get(), p);
	}
};

// One direction of a convolution.
struct direction {
	call compute;
	binding x, w, y;

	template <typename Pass>
	void set(library &l, const typename Pass::primitive_desc &p, const operand &x, const operand &w, const operand &y) {
		compute.set(l, Pass(p), p.scratchpad_desc());
		this->x.set(l, compute, x, l.staged_x);
		this->w.set(l, compute, w, l.staged_w);
		this->y.set(l, compute, y, l.staged_y);
	}

	void execute(library &l, float *x, float *w, float *y) {
		this->x.enter(l, compute, x);
		this->w.enter(l, compute, w);
		this->y.enter(l, compute, y);
		compute.execute(l);
		this->x.leave(l, x);
		this->w.leave(l, w);
		this->y.leave(l, y);
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

descriptor any(const descriptor &d, memory::data_type type) {
#if DNNL_VERSION_MAJOR >= 3
	return descriptor(d.get_dims(), type, tag::any);
#else
	return descriptor(d.dims(), type, tag::any);
#endif
}

} // namespace

struct convolution {
	library *l;
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
		descriptor w(w_dims, f32, a.block == 16 ? tag::OIhw16i16o : tag::OIhw8i8o);
		c->w_padded = false; // oneDNN writes these zeros itself
		if (a.plain) {
			const memory::dim out = (a.out + a.block - 1) / a.block * a.block;
			c->w_bytes = out * a.in * a.kernel * a.kernel * sizeof(float);
			c->w_padded = out != a.out;
			w = descriptor(w_dims, f32, memory::dims{1, out, a.kernel * a.in * out, a.in * out});
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
		// In bfloat16 what is multiplied is rounded to that on its way, in any
		// layout that suits the processor; sums stay float32.
		const auto factor = a.bfloat16 ? memory::data_type::bf16 : f32;
		const auto multiplied = [&](const descriptor &d) { return a.bfloat16 ? any(d, factor) : d; };
		const auto summed = [&](const descriptor &d) { return a.bfloat16 ? any(d, f32) : d; };
		geometry g{a.plain ? any(x, factor) : multiplied(x), any(w, factor), summed(y), strides, padding};
		const auto forward = choose([&](algorithm how) { return describe_forward(l, how, g); });
		c->forward.set<dnnl::convolution_forward>(l, forward,
			{DNNL_ARG_SRC, true, x, forward.src_desc()}, {DNNL_ARG_WEIGHTS, true, w, forward.weights_desc()}, {DNNL_ARG_DST, false, y, forward.dst_desc()});
		g.y = multiplied(y);
		if (!a.inference) {
			using pass = dnnl::convolution_backward_weights;
			g.w = any(w, f32);
			const auto p = choose([&](algorithm how) { return describe_backward<pass>(l, how, g, forward); });
			c->backward_weights.set<pass>(l, p,
				{DNNL_ARG_SRC, true, x, p.src_desc()}, {DNNL_ARG_DIFF_WEIGHTS, false, w, p.diff_weights_desc()}, {DNNL_ARG_DIFF_DST, true, y, p.diff_dst_desc()});
		}
		if (!a.inference && a.input_gradient) {
			using pass = dnnl::convolution_backward_data;
			g.x = summed(x_blocked);
			g.w = any(w, factor);
			const auto p = choose([&](algorithm how) { return describe_backward<pass>(l, how, g, forward); });
			c->backward_input.set<pass>(l, p,
				{DNNL_ARG_DIFF_SRC, false, x_blocked, p.diff_src_desc()}, {DNNL_ARG_WEIGHTS, true, w, p.weights_desc()}, {DNNL_ARG_DIFF_DST, true, y, p.diff_dst_desc()});
		}
		*a.convolution = c.release();
	});
}

const char *convolution_forward(const void *arguments) {
	const convolution_arguments &a = *(const convolution_arguments *)arguments;
	library &l = *a.convolution->l;
	return guard(&l, [&] { a.convolution->forward.execute(l, a.x, a.w, a.y); });
}

const char *convolution_backward_weights(const void *arguments) {
	const convolution_arguments &a = *(const convolution_arguments *)arguments;
	library &l = *a.convolution->l;
	return guard(&l, [&] {
		if (a.convolution->w_padded) memset(a.w, 0, a.convolution->w_bytes);
		a.convolution->backward_weights.execute(l, a.x, a.w, a.y);
	});
}

const char *convolution_backward_input(const void *arguments) {
	const convolution_arguments &a = *(const convolution_arguments *)arguments;
	convolution &c = *a.convolution;
	library &l = *c.l;
	return guard(&l, [&] {
		float *x = a.x;
		const float *addend = a.addend;
		if (addend == a.x) {
			if (!c.sum) c.sum.reset((float *)memory_new(c.x_bytes));
			if (!c.sum) throw std::bad_alloc();
			x = c.sum.get();
			addend = x;
		}
		c.backward_input.execute(l, x, a.w, a.y);
		if (addend) {
			const add_arguments sum{addend, a.x, c.x_bytes / sizeof(float), c.threads};
			c.add(&sum);
		}
	});
}
