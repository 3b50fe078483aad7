# `cpack` in the build folder makes cryostat_VERSION_amd64.deb. The binaries are static: it depends on
# nothing.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME cryostat)
set(CPACK_PACKAGE_CONTACT "The Cryostat authors <cryostat@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "checkpoint and restore running Linux processes")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES TRUE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
include(CPack)
