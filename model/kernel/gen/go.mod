module github.com/tributary-ml/tributary/model/kernel/gen

go 1.26
