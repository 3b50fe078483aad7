#include "engine/arch/x86_64/cpu.h"

#include <cpuid.h>

#include <algorithm>
#include <cstring>

namespace cryostat::arch {

namespace {

enum Reg : uint8_t { kEax, kEbx, kEcx, kEdx };

struct Leaf {
  uint32_t leaf;
  uint32_t subleaf;
};
constexpr Leaf kLeaves[] = {{1, 0}, {7, 0}, {7, 1}, {0xd, 1}, {0x14, 0}, {0x80000001, 0}};

struct FeatureBit {
  uint8_t leaf_index;
  Reg reg;
  uint8_t bit;
  const char* name;
};

// Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.
constexpr FeatureBit kFeatures[] = {
    {0, kEdx, 0, "fpu"},
    {0, kEdx, 4, "tsc"},
    {0, kEdx, 8, "cx8"},
    {0, kEdx, 15, "cmov"},
    {0, kEdx, 19, "clflush"},
    {0, kEdx, 23, "mmx"},
    {0, kEdx, 24, "fxsr"},
    {0, kEdx, 25, "sse"},
    {0, kEdx, 26, "sse2"},
    {0, kEcx, 0, "pni"},
    {0, kEcx, 1, "pclmulqdq"},
    {0, kEcx, 9, "ssse3"},
    {0, kEcx, 12, "fma"},
    {0, kEcx, 13, "cx16"},
    {0, kEcx, 19, "sse4_1"},
    {0, kEcx, 20, "sse4_2"},
    {0, kEcx, 22, "movbe"},
    {0, kEcx, 23, "popcnt"},
    {0, kEcx, 25, "aes"},
    {0, kEcx, 26, "xsave"},
    {0, kEcx, 28, "avx"},
    {0, kEcx, 29, "f16c"},
    {0, kEcx, 30, "rdrand"},
    {1, kEbx, 0, "fsgsbase"},
    {1, kEbx, 3, "bmi1"},
    {1, kEbx, 4, "hle"},
    {1, kEbx, 5, "avx2"},
    {1, kEbx, 8, "bmi2"},
    {1, kEbx, 9, "erms"},
    {1, kEbx, 11, "rtm"},
    {1, kEbx, 16, "avx512f"},
    {1, kEbx, 17, "avx512dq"},
    {1, kEbx, 18, "rdseed"},
    {1, kEbx, 19, "adx"},
    {1, kEbx, 21, "avx512ifma"},
    {1, kEbx, 23, "clflushopt"},
    {1, kEbx, 24, "clwb"},
    {1, kEbx, 28, "avx512cd"},
    {1, kEbx, 29, "sha_ni"},
    {1, kEbx, 30, "avx512bw"},
    {1, kEbx, 31, "avx512vl"},
    {1, kEcx, 1, "avx512vbmi"},
    {1, kEcx, 4, "ospke"},
    {1, kEcx, 5, "waitpkg"},
    {1, kEcx, 6, "avx512_vbmi2"},
    {1, kEcx, 8, "gfni"},
    {1, kEcx, 9, "vaes"},
    {1, kEcx, 10, "vpclmulqdq"},
    {1, kEcx, 11, "avx512_vnni"},
    {1, kEcx, 12, "avx512_bitalg"},
    {1, kEcx, 14, "avx512_vpopcntdq"},
    {1, kEcx, 22, "rdpid"},
    {1, kEcx, 25, "cldemote"},
    {1, kEcx, 27, "movdiri"},
    {1, kEcx, 28, "movdir64b"},
    {1, kEdx, 4, "fsrm"},
    {1, kEdx, 8, "avx512_vp2intersect"},
    {1, kEdx, 14, "serialize"},
    {1, kEdx, 22, "amx_bf16"},
    {1, kEdx, 23, "avx512_fp16"},
    {1, kEdx, 24, "amx_tile"},
    {1, kEdx, 25, "amx_int8"},
    {2, kEax, 4, "avx_vnni"},
    {2, kEax, 5, "avx512_bf16"},
    {2, kEax, 23, "avx_ifma"},
    {3, kEax, 0, "xsaveopt"},
    {3, kEax, 1, "xsavec"},
    {3, kEax, 2, "xgetbv1"},
    {4, kEbx, 4, "ptwrite"},
    {5, kEcx, 0, "lahf_lm"},
    {5, kEcx, 5, "abm"},
    {5, kEcx, 6, "sse4a"},
    {5, kEcx, 8, "3dnowprefetch"},
    {5, kEcx, 11, "xop"},
    {5, kEcx, 16, "fma4"},
    {5, kEcx, 21, "tbm"},
    {5, kEcx, 29, "mwaitx"},
    {5, kEdx, 27, "rdtscp"},
};

// CPUID leaves a virtual machine, which takes microseconds each time: every leaf is asked once.
struct Cpuid {
  unsigned words[4] = {};
};

Cpuid ask(uint32_t leaf, uint32_t subleaf) {
  Cpuid answer;
  unsigned* r = answer.words;
  __cpuid_count(leaf, subleaf, r[kEax], r[kEbx], r[kEcx], r[kEdx]);
  return answer;
}

constexpr uint32_t kExtended = 0x80000000;
constexpr uint32_t kBrandLeaf = 0x80000002;

std::string brand_string(uint32_t last_extended_leaf) {
  if (last_extended_leaf < kBrandLeaf + 2) return {};
  char text[3 * sizeof(Cpuid) + 1] = {};
  for (unsigned i = 0; i < 3; ++i) {
    const Cpuid part = ask(kBrandLeaf + i, 0);
    std::memcpy(text + i * sizeof(part), &part, sizeof(part));
  }
  std::string name(text);
  name.erase(0, name.find_first_not_of(' '));
  while (!name.empty() && name.back() == ' ') name.pop_back();
  return name;
}

}  // namespace

Cpu this_cpu() {
  Cpu cpu;
  cpu.xcr0 = this_xcr0();
  cpu.xstate_size_bytes = this_xstate_size_bytes();
  cpu.xstate_layout = this_xstate_layout(cpu.xcr0);
  const uint32_t last_leaf = ask(0, 0).words[kEax];
  const uint32_t last_extended_leaf = ask(kExtended, 0).words[kEax];
  cpu.model_name = brand_string(last_extended_leaf);
  Cpuid answers[std::size(kLeaves)];
  for (size_t i = 0; i < std::size(kLeaves); ++i) {
    const uint32_t leaf = kLeaves[i].leaf;
    if (leaf <= (leaf >= kExtended ? last_extended_leaf : last_leaf)) {
      answers[i] = ask(leaf, kLeaves[i].subleaf);
    }
  }
  for (const FeatureBit& known : kFeatures) {
    if ((answers[known.leaf_index].words[known.reg] >> known.bit & 1) != 0) {
      cpu.features.emplace_back(known.name);
    }
  }
  std::sort(cpu.features.begin(), cpu.features.end());
  return cpu;
}

std::vector<std::string> missing_features(const std::vector<std::string>& needed,
                                          const std::vector<std::string>& present) {
  std::vector<std::string> missing;
  for (const std::string& name : needed) {
    if (!std::binary_search(present.begin(), present.end(), name)) missing.push_back(name);
  }
  return missing;
}

}  // namespace cryostat::arch
