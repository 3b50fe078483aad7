// cr ACTION …: runs cr-ACTION from the folder this program is in, else from PATH.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/version.h"

namespace {

constexpr int kUsage = 2;

struct Action {
  std::string_view name;
  std::string_view summary;
};

constexpr std::array kActions = std::to_array<Action>({
    {"dump", "save a running process to a folder"},
    {"pre-dump", "save the memory of a process that runs on"},
    {"restore", "bring a saved process back to life"},
    {"dedup", "free what older checkpoints of a chain have in vain, or flatten it"},
    {"check", "tell what this machine's kernel can do"},
    {"inspect", "show and verify a checkpoint"},
});

bool is_action(std::string_view word) {
  for (const auto& action : kActions) {
    if (action.name == word) return true;
  }
  return false;
}

void print_usage(FILE* to) {
  std::fputs("usage: cr ACTION [option]...   (the same as cr-ACTION [option]...)\n\nActions:\n",
             to);
  for (const auto& action : kActions)
    std::fprintf(to, "  %-10s%s\n", action.name.data(), action.summary.data());
  std::fputs("\ncr ACTION --help lists the options of one.\n", to);
}

// Options whose value stands in the next argument, and may look like an action.
constexpr std::array kWithValue = std::to_array<std::string_view>(
    {"-t", "--tree", "-D", "--images-dir", "-W", "--work-dir", "-o", "--log-file", "--config",
     "--pidfile", "--timeout", "--trace", "--transfer", "--ghost-limit", "--restore-threads",
     "--prev-images-dir", "--tracker", "--flatten"});

// The action's place among the arguments: first, or after options ("cr -D ckpt restore").
size_t find_action(const std::vector<char*>& arguments) {
  if (arguments.empty() || arguments[0][0] != '-') return 0;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const bool is_value = i > 0 && std::find(kWithValue.begin(), kWithValue.end(),
                                             arguments[i - 1]) != kWithValue.end();
    if (!is_value && is_action(arguments[i])) return i;
  }
  return 0;
}

// "/usr/bin/" when this is /usr/bin/cr; empty if it can't be told.
std::string own_folder() {
  std::array<char, PATH_MAX> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) return {};
  const std::string text(path.data(), static_cast<size_t>(length));
  return text.substr(0, text.rfind('/') + 1);
}

[[nodiscard]] int run(const std::string& tool, const std::vector<char*>& arguments) {
  std::string name = tool;
  std::vector<char*> argv = {name.data()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  argv.push_back(nullptr);
  if (const std::string folder = own_folder(); !folder.empty())
    execv((folder + tool).c_str(), argv.data());
  if (errno == ENOENT) execvp(tool.c_str(), argv.data());
  std::fprintf(stderr, "cr: error: can't run %s: %s\n", tool.c_str(), strerror(errno));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<char*> arguments(argv + std::min(argc, 1), argv + argc);
  const size_t at = find_action(arguments);
  if (arguments.empty()) {
    print_usage(stderr);
    return kUsage;
  }
  const std::string action = arguments[at];
  if (is_action(action)) {
    arguments.erase(arguments.begin() + static_cast<ptrdiff_t>(at));
    return run("cr-" + action, arguments);
  }
  if (action == "-h" || action == "--help" || action == "help") {
    print_usage(stdout);
    return 0;
  }
  if (action == "-V" || action == "--version") {
    std::printf("cr (Cryostat) %s\n", cryostat::kVersion.data());
    return 0;
  }
  std::fprintf(stderr, "cr: usage: '%s' is not an action\n", action.c_str());
  std::fputs("  hint: cr --help lists the actions\n", stderr);
  return kUsage;
}
