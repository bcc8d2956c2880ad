// What the stand-in driver writes down: counts and faults of each context, a
// line of JSON appended to the file STANDIN_REPORT when the context ends; and
// each call, appended to the file STANDIN_TRACE.
#ifndef STANDIN_LEDGER_H
#define STANDIN_LEDGER_H
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace standin {
enum count {
	ALLOCATIONS,
	FREES,
	COPIES_IN,
	COPIES_OUT,
	COPIES_WITHIN,
	PAGEABLE,  // of these copies, those from or to host memory that is not pinned
	SETS,
	LAUNCHES,
	EVENTS,
	WAITS,  // of the host, for a stream, an event or the context
	GRAPH_NODES,
	GRAPH_LAUNCHES,
	COUNTS
};
inline const char *const count_names[COUNTS] = {"allocations", "frees",    "copies_in", "copies_out", "copies_within", "pageable",
                                                "sets",        "launches", "events",    "waits",      "graph_nodes",   "graph_launches"};

// What happened outside of any graph, which a graph's launch does not add to.
struct ledger {
	long counts[COUNTS] = {};
	size_t bytes = 0, peak_bytes = 0;
	std::map<std::string, long> kernels;  // launches by name
	std::vector<std::string> faults;

	// fault is something that no program should do, whether or not a driver
	// would notice.
	void fault(const std::string &what) {
		fprintf(stderr, "stand-in driver: %s\n", what.c_str());
		if (faults.size() < 100) faults.push_back(what);
	}

	void write(const std::vector<std::string> &left) const {
		const char *path = getenv("STANDIN_REPORT");
		FILE *file = path && *path ? fopen(path, "a") : nullptr;
		if (!file) return;
		fprintf(file, "{");
		for (int i = 0; i < COUNTS; i++) fprintf(file, "\"%s\": %ld, ", count_names[i], counts[i]);
		fprintf(file, "\"peak_bytes\": %zu, \"kernels\": {", peak_bytes);
		const char *comma = "";
		for (auto &k : kernels) fprintf(file, "%s\"%s\": %ld", comma, k.first.c_str(), k.second), comma = ", ";
		fprintf(file, "}, \"left\": ");
		list(file, left);
		fprintf(file, ", \"faults\": ");
		list(file, faults);
		fprintf(file, "}\n");
		fclose(file);
	}

	static void list(FILE *file, const std::vector<std::string> &texts) {
		const char *comma = "";
		fprintf(file, "[");
		for (auto &t : texts) fprintf(file, "%s\"%s\"", comma, t.c_str()), comma = ", ";
		fprintf(file, "]");
	}
};

// Counts a call under its name, and under its name and what it is for.
// STANDIN_FAIL=CALL#N=STATUS makes the Nth of that name answer STATUS, do nothing,
// and say so; so does STANDIN_FAIL=CALL DETAIL#N=STATUS with the Nth for that, and
// STANDIN_FAIL=#N=STATUS with the Nth of all. Counting starts anew with each value
// of the variable.
inline int enter(const char *call, const char *detail) {
	static std::map<std::string, long> calls;
	static std::string plan;
	std::string name(call);
	if (size_t version = name.rfind("_v"); version != std::string::npos) name.resize(version);
	const char *fail = getenv("STANDIN_FAIL");
	if (plan != (fail ? fail : "")) {
		plan = fail ? fail : "";
		calls.clear();
	}
	if (const char *path = getenv("STANDIN_TRACE"); path && *path)
		if (FILE *file = fopen(path, "a")) {
			fprintf(file, "%s\t%s\n", name.c_str(), detail);
			fclose(file);
		}
	size_t hash = plan.find('#'), equals = plan.find('=', hash + 1);
	std::string asked = hash == std::string::npos ? "" : plan.substr(0, hash);
	int answer = 0;
	for (const std::string &key : {std::string(), name, name + " " + detail})
		if (long number = ++calls[key]; equals != std::string::npos && key == asked && atol(&plan[hash + 1]) == number)
			answer = atoi(&plan[equals + 1]);
	if (answer) fprintf(stderr, "stand-in: %s %s answers %d\n", name.c_str(), detail, answer);
	return answer;
}
}  // namespace standin
#endif
