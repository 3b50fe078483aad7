// What the manifest of a dump says about target and machine.
#pragma once

#include "engine/dump/options.h"
#include "proto/manifest.pb.h"

namespace cryostat::task {
struct CollectedTask;
}

namespace cryostat::dump {

// All but what image::CheckpointWriter::commit() fills in itself.
pb::Manifest make_manifest(const task::CollectedTask& task, const Options& options);

}  // namespace cryostat::dump
