# The image schema: every proto/*.proto compiled into the library cryostat_proto. Headers are
# included as "proto/NAME.pb.h".
file(GLOB proto_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/proto/*.proto)
set(proto_out ${CMAKE_BINARY_DIR}/gen/proto)
file(MAKE_DIRECTORY ${proto_out})
set(proto_sources)
foreach(file ${proto_files})
  get_filename_component(stem ${file} NAME_WE)
  add_custom_command(
    OUTPUT ${proto_out}/${stem}.pb.cc ${proto_out}/${stem}.pb.h
    COMMAND protobuf::protoc --proto_path=${CMAKE_SOURCE_DIR}/proto --cpp_out=${proto_out} ${file}
    DEPENDS ${file} ${proto_files})
  list(APPEND proto_sources ${proto_out}/${stem}.pb.cc)
endforeach()
add_library(cryostat_proto STATIC ${proto_sources})
target_include_directories(cryostat_proto SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/gen ${proto_out})
target_link_libraries(cryostat_proto PUBLIC ${LIB_PROTOBUF} z Threads::Threads)
