// What the manifest of a dump says about target and machine.
#pragma once

#include <span>

#include "engine/dump/options.h"
#include "proto/manifest.pb.h"

namespace cryostat::pb {
class Task;
}

namespace cryostat::dump {

// `tasks`: parents first. All but what image::CheckpointWriter::commit() fills in itself.
pb::Manifest make_manifest(std::span<const pb::Task* const> tasks, const Options& options);

}  // namespace cryostat::dump
